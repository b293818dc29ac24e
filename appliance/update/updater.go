package update

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/update/guard"
	"ramjet/appliance/update/signed"
)

// Updater makes every update a trial: it writes the new version beside the one that runs, has the machine start it once,
// and either makes it the one that is started from then on, or sees to it that the old one is started again.
type Updater struct {
	Dir    string // on /perm: parts of an update, and the state
	Memory string // a directory in memory: what the guard looks at
	Disk   disk.Disk
	Name   string // of the version that runs
	Line   string // the kernel's command line
	Health Health
	// Keys are files of the keys that updates have to be signed with; the first one that is there counts. None is: an
	// update needs no signature.
	Keys []string
	Log  *slog.Logger // nil means slog.Default()

	// Steady is how long the box has to be healthy without a break; 0 means 5 s. Deadline is until when; 0 means what the
	// command line says of the machine.
	Steady, Deadline time.Duration

	// What the machine does; a test has its own.
	load   func(kernel, line string) error // makes a kernel ready to be started
	once   bool                            // there is none to be made ready: the firmware is told
	launch func()                          // starts it; does not return
	reboot func()                          // starts the machine anew; does not return

	stage  stage
	trying atomic.Bool   // the version that runs is on trial
	took   time.Duration // from the start of the kernel to that of this program

	turn  sync.Mutex       // one request at a time that sends or changes something
	list  *signed.Manifest // guarded by turn: of the update that is being sent; nil: none, or no good one
	mu    sync.Mutex
	state State // guarded by mu: as it is on the disk
	given bool  // guarded by mu: the version on trial is given up, and the machine about to start anew
}

// errBusy says that another request is being worked on.
var errBusy = refuse(http.StatusConflict, "another update is under way")

// Open reads the state, and makes the updater ready. The error says why there can be no trials on this machine.
func (u *Updater) Open() error {
	if u.Log == nil {
		u.Log = slog.Default()
	}
	if u.Steady == 0 {
		u.Steady = 5 * time.Second
	}
	if u.Deadline == 0 {
		u.Deadline = guard.Gate(u.Line)
	}
	u.took = u.sinceKernel()
	if u.load == nil {
		u.load, u.launch, u.reboot = u.kexecLoad, u.kexecLaunch, reboot
		if err := kexecMissing(); err != nil {
			if missing := u.onceMissing(); missing != nil {
				return fmt.Errorf("%w; and by the firmware: %w", err, missing)
			}
			u.once, u.launch = true, u.onceLaunch
		}
	}
	if err := os.MkdirAll(u.Dir, 0o700); err != nil {
		return fmt.Errorf("/perm cannot be written to: %w", err)
	}
	root, err := size(u.Disk.Roots[u.Disk.Other()])
	if err != nil {
		return err
	}
	boot, err := size(u.Disk.Boot)
	if err != nil {
		return err
	}
	u.stage = stage{dir: u.Dir, limits: map[string]int64{rootPart: root, bootPart: boot, recordPart: recordSize}}
	if u.state, err = load(u.statePath()); err != nil {
		u.Log.Error("what the box knew of its updates is lost", "err", err)
	}
	u.settle()
	return nil
}

func (u *Updater) statePath() string { return filepath.Join(u.Dir, "state.json") }

// save writes the state. Hold mu.
func (u *Updater) save() error { return u.state.save(u.statePath()) }

// change changes the state, and writes it.
func (u *Updater) change(f func(s *State)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.state)
	return u.save()
}
