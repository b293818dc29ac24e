// Package update is the story of a box that gets a new version over the air,
// by the stock gok, and of one whose power is cut in the middle of that.
package update

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/qemu"
	"ramjet/appliance/vmtest/site"
)

// home is the page by which the stories see that the site is up.
const home = "/apache2-doc/manual/en/index.html"

// next is the version that is sent to the box.
const next = "story-2"

// outageLimit bounds how long an update may interrupt service. It is a boot,
// and before it gokrazy's second of grace and the start of the new kernel by
// kexec, which checks and unpacks it without the firmware's help: emulated,
// that takes about as long as the boot.
const outageLimit = 45 * time.Second

func TestUpdate(t *testing.T) {
	root, files, _ := vmtest.Site(t)
	content := vmtest.ContentDisk(t, root, nil)
	box := vmtest.Boot(t, vmtest.Config{
		Content: content, Perm: map[string]string{"ramjet.json": `{"server": "kept"}`},
	})
	first := box.WaitUp(home).Sub(box.Machine.Started)
	if got := box.ActiveRoot(); got != disk.RootA {
		t.Fatalf("a fresh box runs from root partition %d, want %d", got, disk.RootA)
	}
	if got := box.Version(); got != vmtest.Version {
		t.Fatalf("a fresh box runs version %q, want %q", got, vmtest.Version)
	}
	fromPerm(t, box)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	down := make(chan time.Duration, 1)
	go func() { down <- outage(ctx, box) }()
	if err := box.Update(ctx, next); err != nil {
		t.Fatal(err)
	}
	if got := box.ActiveRoot(); got != disk.RootB {
		t.Errorf("updated, the box runs from root partition %d, want %d", got, disk.RootB)
	}
	box.WaitUp(home)
	interrupted := <-down
	t.Logf("power-on to first answer took %.1f s; the update interrupted service for %.1f s",
		first.Seconds(), interrupted.Seconds())
	if interrupted <= 0 || interrupted > outageLimit {
		t.Errorf("that is not between 0 and %v", outageLimit)
	}
	if got := box.Version(); got != next {
		t.Errorf("updated, the box runs version %q, want %q", got, next)
	}
	intact(t, box, files)

	t.Run("reboot", func(t *testing.T) {
		box.Reboot()
		if got := box.ActiveRoot(); got != disk.RootB {
			t.Errorf("restarted, the box runs from root partition %d, want %d", got, disk.RootB)
		}
		box.WaitUp(home)
	})
	t.Run("power cut", func(t *testing.T) { powerCut(t, box, files) })
}

// powerCut cuts the power while another update writes the root partition that
// is not in use, and wants the box back as it was.
func powerCut(t *testing.T, box *vmtest.Box, files []site.File) {
	before := rootStart(t, box.Disk, disk.RootA)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// Slow as a worn SD card, so that there is a middle to hit.
	if err := box.Machine.SlowDisk(ctx, qemu.BootID, qemu.Throttle{BytesWritten: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- box.Update(ctx, "story-3") }()
	// The first megabytes of the new root have reached the disk: now.
	for bytes.Equal(rootStart(t, box.Disk, disk.RootA), before) {
		select {
		case err := <-ended:
			t.Fatalf("the update ended before anything was written: %v", err)
		case <-ctx.Done():
			t.Fatal("the update does not write")
		case <-time.After(100 * time.Millisecond):
		}
	}
	box.PowerCut()
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("the update says that it succeeded")
	}
	t.Log("the power was cut while root partition 2 was half written")
	box.PowerOn()
	up := box.WaitUp(home)
	if got := box.ActiveRoot(); got != disk.RootB {
		t.Errorf("after the power cut, the box runs from root partition %d, want %d", got, disk.RootB)
	}
	if got := box.Version(); got != next {
		t.Errorf("after the power cut, the box runs version %q, want %q", got, next)
	}
	t.Logf("it was back %.1f s after power-on", up.Sub(box.Machine.Started).Seconds())
	intact(t, box, files)
}

// outage asks for the home page until it has failed and then succeeded again,
// and returns for how long it failed.
func outage(ctx context.Context, box *vmtest.Box) time.Duration {
	var since time.Time
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		started := time.Now()
		a, err := box.Fetch(attempt, home, nil)
		cancel()
		switch ok := err == nil && a.Status == http.StatusOK; {
		case !ok && since.IsZero():
			since = started
		case ok && !since.IsZero():
			return time.Since(since)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return -1
}

// fromPerm checks that the box works by the configuration on its /perm.
func fromPerm(t *testing.T, box *vmtest.Box) {
	t.Helper()
	if got := box.Get(home, nil).Header.Get("Server"); got != "kept" {
		t.Errorf("Server %q, want the one that /perm/ramjet.json says", got)
	}
}

// intact compares some files of the site with the source.
func intact(t *testing.T, box *vmtest.Box, files []site.File) {
	t.Helper()
	fromPerm(t, box)
	for i := 0; i < len(files); i += 20 {
		box.SameBytes(files[i])
	}
}

// rootStart returns the first octets of a root partition, as they are on the
// box's disk.
func rootStart(t *testing.T, image string, partition int) []byte {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	where, err := disk.FindPartition(f, partition)
	if err != nil {
		t.Fatal(err)
	}
	// Not the first sectors: a superblock is written last.
	start := make([]byte, 4<<20)
	if _, err := f.ReadAt(start, where.Offset); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return start
}
