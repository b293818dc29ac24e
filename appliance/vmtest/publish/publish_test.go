// Package publish is the story of a site that is published to a box, changed, published again and taken back, and of a power
// that is cut at moments that are spread over a publishing.
package publish

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/qemu"
	"ramjet/appliance/vmtest/site"
)

var (
	cuts  = flag.Int("cuts", 20, "how often the power is cut while a site is published")
	boots = flag.Int("boots", 1, "after how many of these cuts the box is switched on again, instead of its disk being looked at")
)

// page is one that changes.
const page = "index.html"

// publisher is a laptop.
type publisher struct {
	t       *testing.T
	box     *vmtest.Box
	program string
	dir     string // of what it knows
	site    string // the folder
}

func newPublisher(t *testing.T, box *vmtest.Box) *publisher {
	t.Helper()
	p := &publisher{t: t, box: box, dir: vmtest.TempDir(t)}
	tree, _, _ := vmtest.Site(t)
	p.site = vmtest.CopyTree(t, tree)
	if err := os.WriteFile(filepath.Join(p.site, page), []byte("home\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.program = filepath.Join(p.dir, "appliance")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.program, "ramjet/appliance").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

// shrink leaves few files of the site: so much is sent between two cuts that a cut comes in the midst of it, and the disk is
// soon looked at.
func (p *publisher) shrink() {
	p.t.Helper()
	files, _, err := site.Walk(p.site)
	if err != nil {
		p.t.Fatal(err)
	}
	small := vmtest.TempDir(p.t)
	for i, f := range files {
		if i%12 != 0 && f.Name != page {
			continue
		}
		text, err := os.ReadFile(f.Path)
		if err == nil {
			err = os.WriteFile(filepath.Join(small, strings.ReplaceAll(f.Name, "/", "-")), text, 0o644)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	p.site = small
}

// change writes another version of the site: all its files are others.
func (p *publisher) change(version int) {
	p.t.Helper()
	files, _, err := site.Walk(p.site)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f.Path)
		if err == nil {
			err = os.WriteFile(f.Path, append(text, fmt.Sprintf("<!-- %d -->\n", version)...), 0o644)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// say runs a command, and returns what it says.
func (p *publisher) say(ctx context.Context, name string, words ...string) (string, error) {
	args := []string{name, "-box", net.JoinHostPort(p.box.Address(), strconv.Itoa(qemu.APIPort)), "-known", filepath.Join(p.dir, "known"), "-accept-new"}
	if name == "publish" {
		args = append(args, "-cache", filepath.Join(p.dir, "cache"))
	}
	if name == "token" {
		args = append(args, "-password-file", filepath.Join(p.dir, "password"))
	} else {
		args = append(args, "-token-file", filepath.Join(p.dir, "token"))
	}
	out, err := exec.CommandContext(ctx, p.program, append(args, words...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("appliance %s: %w\n%s", name, err, out)
	}
	return string(out), err
}

func (p *publisher) mustSay(name string, words ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	out, err := p.say(ctx, name, words...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// takeToken asks for a token that may publish, and nothing else.
func (p *publisher) takeToken() {
	p.t.Helper()
	err := os.WriteFile(filepath.Join(p.dir, "password"), []byte(p.box.Password()), 0o600)
	lines := strings.Split(strings.TrimSpace(p.mustSay("token", "make", "laptop", "publish")), "\n")
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, "token"), []byte(lines[len(lines)-1]), 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// serves looks whether the box serves all of a version.
func (p *publisher) serves(files map[string][]byte) {
	p.t.Helper()
	for name, text := range files {
		if got := p.box.Get(vmtest.URLPath(name), nil); got.Status != http.StatusOK || !bytes.Equal(got.Body, text) {
			p.t.Errorf("%s: status %d, %d octets, which are not the %d of this version", name, got.Status, len(got.Body), len(text))
		}
	}
}

func TestPublish(t *testing.T) {
	empty := filepath.Join(vmtest.TempDir(t), "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	box := vmtest.Boot(t, vmtest.Config{Content: vmtest.ContentDisk(t, empty, map[string]string{page: "not yet\n"})})
	p := newPublisher(t, box)
	box.WaitUp("/" + page)
	box.WaitAPI()
	p.takeToken()
	t.Run("a newcomer", p.newcomer)
	p.shrink()
	p.mustSay("keep", "2")
	whole := p.measure()
	for i := range *cuts {
		after := whole * time.Duration(2*i+1) / time.Duration(2**cuts)
		real := i*(*boots)/(*cuts) < (i+1)*(*boots)/(*cuts) // Spread evenly.
		t.Run(fmt.Sprintf("cut %d", i+1), func(t *testing.T) { p.cut(t, i+3, after, whole, real) })
	}
}

// newcomer publishes a site, changes a page, publishes, and takes it back.
func (p *publisher) newcomer(t *testing.T) {
	step := func(what string, do func() string) {
		began := time.Now()
		for line := range strings.Lines(do()) {
			if strings.Contains(line, "is live") {
				t.Logf("%s: %.1f s: %s", what, time.Since(began).Seconds(), strings.TrimSpace(line))
			}
		}
	}
	first := read(t, p.site)
	step("publish", func() string { return p.mustSay("publish", p.site) })
	p.serves(first)
	if err := os.WriteFile(filepath.Join(p.site, page), []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	step("publish a change", func() string { return p.mustSay("publish", p.site) })
	if got := p.box.Get("/"+page, nil); string(got.Body) != "changed\n" {
		t.Errorf("the box serves %q", got.Body)
	}
	step("roll back", func() string { return p.mustSay("rollback") })
	p.serves(first)
}

// measure publishes until all releases are as the cuts will find them, and returns how long that takes at last.
func (p *publisher) measure() (took time.Duration) {
	p.t.Helper()
	for version := range 3 {
		p.change(version)
		began := time.Now()
		p.mustSay("publish", "-compress=false", p.site)
		took = time.Since(began)
	}
	return took
}

// cut cuts the power while the next version is published.
func (p *publisher) cut(t *testing.T, version int, after, whole time.Duration, real bool) {
	before := read(t, p.site)
	p.change(version)
	next := read(t, p.site)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := p.say(ctx, "publish", "-compress=false", p.site)
		ended <- err
	}()
	select {
	case <-time.After(after): // The moment of the cut, not a wait for something.
	case <-ctx.Done():
	}
	var is string
	if real {
		p.box.PowerCut()
		cancel()
		<-ended
		p.box.PowerOn()
		p.box.WaitUp("/" + page)
		p.box.WaitAPI()
		switch got := string(p.box.Get("/"+page, nil).Body); got {
		case string(before[page]):
			is = "the old one"
			p.serves(before)
		case string(next[page]):
			is = "the new one"
			p.serves(next)
		default:
			t.Errorf("the box serves %q", got)
		}
		p.mustSay("publish", "-compress=false", p.site)
		p.serves(next)
	} else {
		image := filepath.Join(p.dir, "cut.img")
		p.box.AfterPowerCut(image)
		if err := <-ended; err != nil {
			t.Fatal(err) // Nothing was cut for it.
		}
		found := examine(t, image)
		switch {
		case same(found, before):
			is = "the old one"
		case same(found, next):
			is = "the new one"
		default:
			t.Errorf("%d files are live, which are neither the old version nor the new one", len(found))
		}
	}
	t.Logf("cut after %.1f s of %.1f; live is %s, whole; switched on again: %v", after.Seconds(), whole.Seconds(), is, real)
}
