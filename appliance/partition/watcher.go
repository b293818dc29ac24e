package partition

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// The watcher's own times. None is waited for before the first look.
const (
	patience = 2 * time.Second       // for the superblocks of all devices in one look
	settle   = 50 * time.Millisecond // after an event: a disk announces each of its partitions, one look is enough
)

// Watcher keeps the site link pointing to the content partition. It is a task: run it once.
type Watcher struct {
	// Label of the content partition. Exact for ext4; FAT knows upper case only, so there case does not matter.
	Label string
	// Dir is the directory for what exists until the next boot; the watcher makes it, with "media" and "site" in it.
	Dir string
	// Fallback is the directory that the site link names until the first content partition turns up. It is made if missing.
	Fallback string
	// Changed gets a value after each flip of the link. Give it room for one: a value that is still in it will do for the
	// next flip too. nil tells nobody.
	Changed chan<- struct{}
	// Rescan is how often the watcher looks without being woken, 0 means 5 s.
	Rescan time.Duration
	// Log, nil means slog.Default().
	Log *slog.Logger

	host host // zero means the real one; tests put another machine here

	// Owned by Run.
	prober   *prober
	failed   map[Device]bool   // could not be mounted since the last event
	seqs     map[string]uint64 // mount directory -> number of the disk that we mounted there
	writable map[string]bool   // mount directory -> was seen writable
	warned   string            // what was said last about partitions that are not used
	poking   chan struct{}     // holds a value while readers are poked
}

// String names the task.
func (w *Watcher) String() string { return "partition watcher" }

// Run looks at once, and then whenever the kernel reports a change of the block devices, and every Rescan. It ends with the
// context, and leaves mounts and link as they are: the accelerator goes on. An error means that it could not begin.
func (w *Watcher) Run(ctx context.Context) error {
	late := make(chan struct{}, 1)
	if err := w.begin(late); err != nil {
		return err
	}
	// Before the first look, so that nothing that comes in between is missed.
	events, stop := w.listen()
	defer stop()

	w.look(true)
	tick := time.NewTicker(cmp.Or(w.Rescan, 5*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.poke()
			w.look(false)
		case <-late:
			w.look(false)
		case <-events:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle):
			}
			w.look(true)
		}
	}
}

// begin fills in what is not set and makes the directories.
func (w *Watcher) begin(late chan<- struct{}) error {
	if w.Log == nil {
		w.Log = slog.Default()
	}
	if w.host.mount == nil {
		w.host = realHost()
	}
	w.prober = &prober{dev: w.host.dev, patience: patience, late: func() { notify(late) }, log: w.Log}
	w.failed = make(map[Device]bool)
	w.seqs = make(map[string]uint64)
	w.writable = make(map[string]bool)
	w.poking = make(chan struct{}, 1)
	if err := os.MkdirAll(filepath.Join(w.Dir, "media"), 0o755); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	// The kernel lists mounts by their real path.
	dir, err := filepath.Abs(w.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	w.Dir = dir
	return nil
}

// listen passes on that something happened to a block device. Without the kernel's socket only the rescan is left.
func (w *Watcher) listen() (events <-chan struct{}, stop func()) {
	u, err := w.host.uevents()
	if err != nil {
		w.Log.Warn("no events from the kernel; a stick that is plugged in is noticed a few seconds later", "err", err)
		return nil, func() {}
	}
	c, done, stopping := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if err := u.wait(); err != nil {
				select {
				case <-stopping:
				default:
					w.Log.Warn("no more events from the kernel; a stick that is plugged in is noticed a few seconds later", "err", err)
				}
				return
			}
			notify(c)
		}
	}()
	return c, func() {
		close(stopping)
		u.close()
		<-done
	}
}

// notify never waits: a value that is in the channel already says the same.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *Watcher) media() string { return filepath.Join(w.Dir, "media") }
func (w *Watcher) site() string  { return filepath.Join(w.Dir, "site") }

// view looks at the machine.
func (w *Watcher) view(fresh bool) (view, error) {
	v := view{media: w.media(), fallback: w.Fallback, failed: w.failed}
	v.link, _ = os.Readlink(w.site()) // no link is no error, and anything else there is reported when it is to be replaced
	var err error
	if v.devices, err = scanDevices(w.host.block); err != nil {
		return v, err
	}
	mounts, err := os.Open(w.host.mountinfo)
	if err != nil {
		return v, fmt.Errorf("list mounts: %w", err)
	}
	defer mounts.Close()
	if v.mounts, err = parseMountinfo(mounts, v.media); err != nil {
		return v, err
	}
	for i := range v.mounts {
		v.mounts[i].Seq = w.seqs[v.mounts[i].Dir]
	}
	for _, p := range w.prober.round(v.devices, heldDisks(v.media, v.devices, v.mounts), fresh) {
		if p.labelled(w.Label) {
			v.parts = append(v.parts, p)
		}
	}
	return v, nil
}
