// Package serve is the first story: a box with a real site on its second disk
// serves every file of it, exactly, soon after power-on.
package serve

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/site"
)

// bootLimit is the longest time from power-on to the first correct answer, on a machine where a plain gokrazy image takes
// stockBoot for that. An emulated boot takes as long as the machine is slow; the limit grows with it.
const (
	bootLimit = 8 * time.Second
	stockBoot = 6900 * time.Millisecond
	noise     = 1.05 // of boots on one machine, one after the other
)

// home is the page by which the stories see that the site is up.
const home = "apache2-doc/manual/en/index.html"

// types maps extensions to what Content-Type must start with. Files with other
// extensions need some Content-Type.
func types() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".txt": "text/plain; charset=utf-8",
		".png": "image/png", ".gif": "image/gif", ".svg": "image/svg+xml",
		".pdf": "application/pdf", ".gz": "application/gzip",
	}
}

func TestServe(t *testing.T) {
	root, files, links := vmtest.Site(t)
	var size int64
	for _, f := range files {
		size += f.Size
	}
	t.Logf("the site: %d files, %.1f MB, %d links", len(files), float64(size)/1e6, len(links))
	if len(files) < 500 || size < 20e6 {
		t.Fatal("the site is too small for this story")
	}
	disk := vmtest.ContentDisk(t, root, nil)

	var best time.Duration
	note := func(took time.Duration) {
		if best == 0 || took < best {
			best = took
		}
	}
	t.Run("every file", func(t *testing.T) {
		box := vmtest.Boot(t, vmtest.Config{Content: disk, Alone: true})
		up := box.WaitUp(vmtest.URLPath(home))
		note(up.Sub(box.Machine.Started))
		t.Log("boot:", vmtest.Describe(box.Milestones(up)))
		everyFile(t, box, files)
		everyLink(t, box, links)
		missing := box.Get("/apache2-doc/no-such-page.html", nil)
		if missing.Status != http.StatusNotFound {
			t.Errorf("a page that does not exist: status %d, want 404", missing.Status)
		}
	})
	t.Run("every file, without the event loops", func(t *testing.T) {
		slow := vmtest.ContentDisk(t, root, map[string]string{"ramjet.json": `{"eventloop": {"disabled": true}}`})
		box := vmtest.Boot(t, vmtest.Config{Content: slow, Alone: true})
		box.WaitUp(vmtest.URLPath(home))
		everyFile(t, box, files)
		everyLink(t, box, links)
	})
	t.Run("no clock", func(t *testing.T) {
		box := vmtest.Boot(t, vmtest.Config{Content: disk, Clock: "base=1970-01-01", Alone: true})
		up := box.WaitUp(vmtest.URLPath(home))
		note(up.Sub(box.Machine.Started))
		noClock(t, box, files)
	})
	// The limit is the box's, the noise is the machine's: the best of up to three boots counts, and where that is not
	// enough, the floor is measured.
	t.Run("boot time", func(t *testing.T) {
		if best > bootLimit {
			box := vmtest.Boot(t, vmtest.Config{Content: disk, Alone: true})
			up := box.WaitUp(vmtest.URLPath(home))
			note(up.Sub(box.Machine.Started))
			t.Log("third boot:", vmtest.Describe(box.Milestones(up)))
			box.Machine.PowerOff()
		}
		t.Logf("from power-on to the first correct answer: %.2f s at best", best.Seconds())
		if best <= bootLimit {
			return
		}
		stock := vmtest.StockBoot(t)
		limit := time.Duration(float64(bootLimit) * max(1, noise*stock.Seconds()/stockBoot.Seconds()))
		t.Logf("a plain gokrazy image takes %.2f s here: the limit is %.2f s; we take %.2f times the floor",
			stock.Seconds(), limit.Seconds(), best.Seconds()/stock.Seconds())
		if best > limit {
			t.Errorf("that is more than %.2f s", limit.Seconds())
		}
	})
}

// everyFile fetches all files, four at a time, and each again with its
// validators.
func everyFile(t *testing.T, box *vmtest.Box, files []site.File) {
	started := time.Now()
	work := make(chan site.File)
	var workers sync.WaitGroup
	known := types()
	for range 4 {
		workers.Go(func() {
			for f := range work {
				if err := oneFile(box, f, known); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, f := range files {
		work <- f
	}
	close(work)
	workers.Wait()
	t.Logf("%d files fetched three times in %.1f s", len(files), time.Since(started).Seconds())
}

// oneFile checks a file's answer and the 304 for each of its validators.
func oneFile(box *vmtest.Box, f site.File, known map[string]string) error {
	target := vmtest.URLPath(f.Name)
	full, err := box.Fetch(box.Context(), target, nil)
	if err != nil {
		return err
	}
	if err := vmtest.CheckFile(f, full); err != nil {
		return err
	}
	got, want := full.Header.Get("Content-Type"), known[path.Ext(f.Name)]
	if got == "" || want != "" && got != want {
		return fmt.Errorf("%s: Content-Type %q, want %q", f.Name, got, want)
	}
	tag := full.Header.Get("ETag")
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return fmt.Errorf("%s: ETag %q is not a strong one", f.Name, tag)
	}
	for field, value := range map[string]string{
		"If-None-Match": tag, "If-Modified-Since": full.Header.Get("Last-Modified"),
	} {
		again, err := box.Fetch(box.Context(), target, map[string]string{field: value})
		if err != nil {
			return err
		}
		if again.Status != http.StatusNotModified || len(again.Body) > 0 || again.Header.Get("ETag") != tag {
			return fmt.Errorf("%s with %s: status %d, %d octets, ETag %q; want 304, none, %q",
				f.Name, field, again.Status, len(again.Body), again.Header.Get("ETag"), tag)
		}
	}
	return nil
}

// everyLink checks that a link within the tree is followed, and one that leads
// out of it is not.
func everyLink(t *testing.T, box *vmtest.Box, links []site.Link) {
	left, followed := 0, 0
	for _, l := range links {
		switch {
		case l.Leaves:
			left++
			if a := box.Get(vmtest.URLPath(l.Name), nil); a.Status != http.StatusNotFound {
				t.Errorf("%s leads out of the site: status %d, want 404", l.Name, a.Status)
			}
		case l.Target != "":
			followed++
			info, err := os.Stat(l.Target)
			if err != nil {
				t.Fatal(err)
			}
			box.SameBytes(site.File{Name: l.Name, Path: l.Target, Size: info.Size(), Modified: info.ModTime()})
		}
	}
	t.Logf("links: %d that leave the site are refused, %d within it are served", left, followed)
	if left == 0 || followed == 0 {
		t.Error("the site has no links of one kind")
	}
}

// noClock checks the answers of a box whose clock starts in 1970 and which no
// time server sets right: no Date, and no Last-Modified from its clock.
func noClock(t *testing.T, box *vmtest.Box, files []site.File) {
	for _, f := range files[:20] {
		a := box.Get(vmtest.URLPath(f.Name), nil)
		if a.Status != http.StatusOK || int64(len(a.Body)) != f.Size {
			t.Errorf("%s: status %d, %d octets, want 200 and %d", f.Name, a.Status, len(a.Body), f.Size)
		}
		if date := a.Header.Get("Date"); date != "" {
			t.Errorf("%s: Date %q from a box that does not know the time", f.Name, date)
		}
		modified := a.Header.Get("Last-Modified")
		if modified != "" && modified != f.Modified.UTC().Format(http.TimeFormat) {
			t.Errorf("%s: Last-Modified %q is not the file's", f.Name, modified)
		}
	}
	if a := box.Get("/no-such-page", nil); a.Header.Get("Date") != "" {
		t.Errorf("404 with Date %q", a.Header.Get("Date"))
	}
	log := box.WaitLog("accelerator", 30*time.Second, "msg=ready")
	if !strings.Contains(log, "1970") {
		t.Errorf("the box was meant to be in 1970: %s", log)
	}
}
