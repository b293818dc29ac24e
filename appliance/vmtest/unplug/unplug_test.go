// Package unplug is the story of the USB stick that is pulled out while the
// box serves from it, and plugged in again: what is in memory goes on, the rest
// fails cleanly or comes from the farm, and then all of it is back by itself.
package unplug

import (
	"path"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/farm"
	"ramjet/appliance/vmtest/site"
)

// home is the page by which the stories see that the site is up.
const home = "/apache2-doc/manual/en/index.html"

// memory makes the box hold small files in memory and leave the others on the
// stick: hotSize is the same limit as the story uses to tell them apart.
const (
	memory  = `"content": {"memory": "128MiB", "memory_per_file": "32KiB"},`
	hotSize = 32 << 10
)

func TestUnplug(t *testing.T) {
	root, files, _ := vmtest.Site(t)
	stick := vmtest.ContentDisk(t, root, map[string]string{"ramjet.json": "{" + memory + "}"})
	box := vmtest.Boot(t, vmtest.Config{Stick: stick})
	box.WaitUp(home)
	box.WaitRead()
	rounds(t, box, files, false)
}

func TestUnplugWithFarm(t *testing.T) {
	root, files, _ := vmtest.Site(t)
	f, err := farm.New(t.Context(), vmtest.TempDir(t), vmtest.CopyTree(t, root))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	stick := vmtest.ContentDisk(t, root, map[string]string{"ramjet.json": f.Config(memory)})
	box := vmtest.Boot(t, vmtest.Config{Stick: stick})
	box.WaitUp(home)
	box.WaitRead()
	rounds(t, box, files, true)
}

// rounds pulls and plugs twice, under load.
func rounds(t *testing.T, box *vmtest.Box, files []site.File, farm bool) {
	hot, cold := split(files)
	t.Logf("%d files in memory, %d on the stick alone", len(hot), len(cold))
	// Every round asks for files that nobody has asked for before, so that
	// the box cannot have them in its page cache.
	unread := len(cold) / 3
	warm := cold[2*unread:]
	for round := range 2 {
		l := startLoad(t, box, hot, warm)
		time.Sleep(2 * time.Second)
		l.needs(t, "before the pull")

		box.Pull()
		pulled := time.Now()
		l.enter("while the stick is out")
		fresh := ask(t, box, cold[round*unread:(round+1)*unread])
		time.Sleep(max(0, 4*time.Second-time.Since(pulled)))
		t.Logf("round %d, stick out: files never read before: %v", round+1, fresh)
		if farm && fresh.fromFarm == 0 {
			t.Errorf("round %d: the farm was not asked for what is not in memory", round+1)
		}
		if !farm && fresh.unavailable == 0 {
			t.Errorf("round %d: no 503 for what is not in memory", round+1)
		}
		l.needs(t, "while the stick is out")

		box.Plug()
		plugged := time.Now()
		l.enter("after the plug")
		wholeAgain(t, box, append(cold[round*unread:(round+1)*unread:(round+1)*unread], hot[0], warm[0]))
		t.Logf("round %d: full service again %.1f s after the plug", round+1, time.Since(plugged).Seconds())
		time.Sleep(time.Second)
		l.stop()
		l.needs(t, "after the plug")
		t.Logf("round %d, load: %v", round+1, l)
	}
}

// split tells the files in memory from those on the stick. Only types that
// are known everywhere: others might go to the farm.
func split(files []site.File) (hot, cold []site.File) {
	for _, f := range files {
		switch path.Ext(f.Name) {
		case ".html", ".png", ".gif", ".css":
			if f.Size <= hotSize {
				hot = append(hot, f)
			} else {
				cold = append(cold, f)
			}
		}
	}
	return hot, cold
}

// wholeAgain waits until all the files come from the box itself, as they are.
func wholeAgain(t *testing.T, box *vmtest.Box, files []site.File) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for _, f := range files {
		for {
			kind, err := one(t.Context(), box, f)
			if err != nil {
				t.Fatal(err)
			}
			if kind == served {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is still %v 60 s after the plug\n%s\n%s", f.Name, kind,
					box.ServiceLog("accelerator"), box.ServiceLog("appliance"))
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
