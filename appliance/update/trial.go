package update

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
)

// Argument is what the kernel's command line has in a trial, before the trial's name.
const Argument = "ramjet.trial="

var argument = regexp.MustCompile(`\b` + regexp.QuoteMeta(Argument) + `(\w+)`)

// What the trial and its guard say to each other, and to the next start. See package guard.
const (
	aliveFile     = "alive"
	confirmedFile = "confirmed"
	guardFile     = "guard.txt"
	startedFile   = "started"
)

// settle looks, at the start of the program, at what has become of the last trial. Hold mu, or be alone.
func (u *Updater) settle() {
	t := u.state.Trial
	here := ""
	if m := argument.FindStringSubmatch(u.Line); m != nil {
		here = m[1]
	}
	said, _ := os.ReadFile(filepath.Join(u.Dir, guardFile))
	os.Remove(filepath.Join(u.Dir, guardFile))
	if t != nil && here != t.ID && u.finish(t) {
		return
	}
	switch {
	case t == nil:
		if here != "" && here == u.state.Confirmed {
			u.confirm(here) // The guard has not heard it if the program ended in between.
		}
		if err := u.stage.clear(); err != nil {
			u.Log.Error("parts of an update stay on /perm", "err", err)
		}
		return
	case here == t.ID:
		u.trying.Store(true)
		return
	case t.Commit && u.Disk.Active == t.To.Root:
		// The power went after the write that decides.
		if err := u.commit(); err != nil {
			u.Log.Error("the update is not complete", "err", err)
		}
	case t.Started:
		if t.Reason == "" {
			t.Reason = string(bytes.TrimSpace(said))
		}
		if t.Reason == "" {
			t.Reason = "no confirmation: crash, hang or power cut"
		}
		if t.Commit {
			u.undo()
		}
		if u.state.Spare != nil {
			u.state.Spare.Proven = false
		}
		o := u.state.end("reverted", t.Reason)
		u.Log.Error("the box is back on the old version", "trial", o.ID, "failed", o.To, "runs", o.From, "reason", o.Reason)
		tell("update to %s reverted: %s", o.To, o.Reason)
	default:
		o := u.state.end("not started", "the box was restarted, or lost its power, before the trial")
		u.Log.Warn("an update was not tried", "trial", o.ID, "version", o.To)
	}
	if err := u.save(); err != nil {
		u.Log.Error("what has become of the last update is not on the disk", "err", err)
	}
	if err := u.stage.clear(); err != nil {
		u.Log.Error("parts of an update stay on /perm", "err", err)
	}
}

// undo makes the master boot record agree with the boot partition again: the trial's commit was cut in between.
func (u *Updater) undo() {
	if len(u.state.Trial.From.Record) != recordSize {
		return
	}
	if err := writeAt(u.Disk.Device, 0, u.state.Trial.From.Record); err != nil {
		u.Log.Error("the master boot record may start another version than the boot partition", "err", err)
	}
}
