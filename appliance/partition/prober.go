package partition

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Partition is a block device together with the file system that is on it.
type Partition struct {
	Device
	Superblock
}

// prober reads superblocks and remembers them. A stick that is dying can hold a read for half a minute, so every device is
// read in its own goroutine, and nobody waits longer than patience for any of them.
//
// Owned by the watcher; only the goroutines that it starts run beside it, and they hand over through reading.done.
type prober struct {
	dev      string        // "/dev"
	patience time.Duration // how long one round waits
	late     func()        // called when a read ends that a round no longer waited for
	log      *slog.Logger

	readings map[Device]*reading
}

// reading is one read of a superblock.
type reading struct {
	waited bool          // owned by the watcher: somebody waits for the late end
	done   chan struct{} // closed at the end; the fields below may be read only then
	sb     Superblock
	err    error
}

// round returns the file systems on the devices. With fresh it reads every device, else only those that it has not yet
// read well; of disks that are held, only what it has never read. A device whose read has not ended in time is missing from the result, and late is called once it has.
func (p *prober) round(devices []Device, held map[string]bool, fresh bool) []Partition {
	readings := make(map[Device]*reading, len(devices))
	for _, d := range devices {
		readings[d] = p.reading(d, held[d.Disk], fresh)
	}
	p.readings = readings // forgets devices that are gone
	timeout := time.NewTimer(p.patience)
	defer timeout.Stop()
	var parts []Partition
	for _, d := range devices {
		r := readings[d]
		select {
		case <-r.done:
		case <-timeout.C:
			timeout.Reset(0) // the devices that follow: only what is there already
			if !r.over() {
				if !r.waited {
					r.waited = true
					go p.reportLate(d, r)
				}
				continue
			}
		}
		if r.err == nil {
			parts = append(parts, Partition{d, r.sb})
		}
	}
	return parts
}

func (r *reading) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// reading returns the reading of d to go by, and starts it if need be.
func (p *prober) reading(d Device, held, fresh bool) *reading {
	old := p.readings[d]
	if old != nil && (held || !old.over() || !fresh && (old.err == nil || errors.Is(old.err, errUnknown))) {
		return old
	}
	said := ""
	if old != nil && old.err != nil {
		said = old.err.Error()
	}
	r := &reading{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.sb, r.err = readDeviceSuperblock(filepath.Join(p.dev, d.Name))
		// A reader without a card is no news, and neither is what was said before.
		if r.err == nil || errors.Is(r.err, errUnknown) || errors.Is(r.err, syscall.ENOMEDIUM) || r.err.Error() == said {
			return
		}
		p.log.Warn("cannot read a block device; if it is the content partition, try another port or stick",
			"device", d.Name, "err", r.err)
	}()
	return r
}

func (p *prober) reportLate(d Device, r *reading) {
	p.log.Warn("a block device is slow to answer", "device", d.Name, "waited", p.patience)
	<-r.done
	p.late()
}

// readDeviceSuperblock opens the device for reading alone, which wakes no writer and changes nothing on it.
func readDeviceSuperblock(path string) (Superblock, error) {
	f, err := os.Open(path)
	if err != nil {
		return Superblock{}, err
	}
	sb, err := readSuperblock(f)
	return sb, errors.Join(err, f.Close())
}

// String is for logs: "sda1 (ext4, 3f0c…)".
func (p Partition) String() string {
	return fmt.Sprintf("%s (%s, %s)", p.Name, p.Type, p.UUID)
}
