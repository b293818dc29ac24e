// Package arm64 is the story of the generic arm64 image, started by UEFI: it
// serves, as the amd64 image does in the story serve, and tries two updates.
package arm64

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/vmtest"
)

// home is the page by which the stories see that the site is up.
const home = "/apache2-doc/manual/en/index.html"

func TestArm64(t *testing.T) {
	root, files, _ := vmtest.Site(t)
	content := vmtest.ContentDisk(t, root, nil)
	box := vmtest.Boot(t, vmtest.Config{
		Board: "arm64", Content: content, Alone: true, Updates: map[string]func(map[string]any){"story-3": withArgument},
	})
	up := box.WaitUp(home)
	t.Log("boot:", vmtest.Describe(box.Milestones(up)))
	if got := box.Version(); got != vmtest.Version {
		t.Errorf("the box runs version %q, want %q", got, vmtest.Version)
	}
	checked := 0
	for i := 0; i < len(files); i += 10 {
		f := files[i]
		full := box.SameBytes(f)
		tag := full.Header.Get("ETag")
		if len(tag) < 3 || tag[0] != '"' {
			t.Errorf("%s: ETag %q is not a strong one", f.Name, tag)
		}
		for field, value := range map[string]string{
			"If-None-Match": tag, "If-Modified-Since": full.Header.Get("Last-Modified"),
		} {
			again := box.Get(vmtest.URLPath(f.Name), map[string]string{field: value})
			if again.Status != http.StatusNotModified || len(again.Body) > 0 {
				t.Errorf("%s with %s: status %d and %d octets, want 304 and none", f.Name, field, again.Status, len(again.Body))
			}
		}
		checked++
	}
	t.Logf("%d of %d files are served exactly", checked, len(files))
	for i, next := range []string{"story-2", "story-3"} {
		t.Run(next, func(t *testing.T) { update(t, box, i, next) })
	}
	if line := string(vmtest.BootFile(t, box.Disk, "cmdline.txt")); !strings.Contains(line, argument) || !strings.Contains(line, "/PARTNROFF=1") {
		t.Errorf("the box starts with %q", line)
	}
}

// argument is what the second update changes for the kernel: the first one leaves the boot file system as it is, the other
// one is written over it.
const argument = "ramjet.story=3"

func withArgument(config map[string]any) {
	config["KernelExtraArgs"] = append(config["KernelExtraArgs"].([]any), argument)
}

// update sends the next version, after so many others. It is tried, confirmed, and started by the firmware from then on.
func update(t *testing.T, box *vmtest.Box, before int, next string) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	if err := box.Update(ctx, next); err != nil {
		t.Fatal(err)
	}
	root := disk.RootB - before%2
	for _, when := range []string{"updated", "restarted"} {
		box.WaitUp(home)
		if got := box.ActiveRoot(); got != root {
			t.Errorf("%s, the box runs from root partition %d, want %d", when, got, root)
		}
		s := box.UpdateStatus()
		if n := len(s.History); n != before+1 || s.History[n-1].Outcome != "confirmed" || s.Version != next || s.OnTrial {
			t.Errorf("%s, it says of its updates: %+v", when, s)
		}
		if when == "updated" {
			box.Reboot()
		}
	}
}
