package partition

import (
	"os"
	"path/filepath"
	"time"
)

// Card readers are the one kind of drive that does not go away with its medium, and that makes them dangerous. Once a card
// was taken out, the kernel refuses to read from the drive, until somebody opens it again; that somebody says "I know that
// there may be another card". If that happened while the accelerator had files of the old card open, it would read blocks
// of the new card as if they were theirs. So a disk from which something is mounted is never opened by us: see heldDisks,
// prober.round and mount. Who pulls a card gets errors and no wrong bytes; service comes back when the reader is plugged in
// anew. A reader from which nothing is mounted is opened now and then, or a card that is put in would never be noticed:
// this system has no udev to make the kernel look by itself.

// heldDisks names the disks from which something is mounted.
func heldDisks(media string, devices []Device, mounts []Mount) map[string]bool {
	held := make(map[string]bool)
	for _, m := range mounts {
		for _, d := range devices {
			if belongs(media, m, d) {
				held[d.Disk] = true
			}
		}
	}
	return held
}

// pokeReaders opens the disks whose medium can be taken out. The kernel then asks the drive for its medium, and if there is
// another one it sends events and changes size and number of the disk.
//
// O_EXCL leaves a disk alone that anybody holds (open(2)): from which something is mounted, or was, and files are still open.
func pokeReaders(block, dev string) {
	entries, err := os.ReadDir(block)
	if err != nil {
		return // reported by the scan
	}
	for _, e := range entries {
		if attribute(filepath.Join(block, e.Name()), "removable") != "1" {
			continue
		}
		if f, err := os.OpenFile(filepath.Join(dev, e.Name()), os.O_RDONLY|os.O_EXCL, 0); err == nil {
			f.Close()
		}
	}
}

// poke pokes the card readers and waits for it, since nobody can mount from a disk that is held, be it for a moment. It does
// not wait for ever: a drive that is dying may not answer for long. In that time it is not poked again.
func (w *Watcher) poke() {
	select {
	case w.poking <- struct{}{}:
	default:
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pokeReaders(w.host.block, w.host.dev)
		<-w.poking
	}()
	select {
	case <-done:
	case <-time.After(patience):
	}
}
