package update

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Argument is what the kernel's command line has in a trial, before the trial's name.
const Argument = "ramjet.trial="

var argument = regexp.MustCompile(`\b` + regexp.QuoteMeta(Argument) + `(\w+)`)

// What the trial and its guard say to each other, and to the next start. See package guard.
const (
	aliveFile     = "alive"
	confirmedFile = "confirmed"
	guardFile     = "guard.txt"
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

// String names the task.
func (u *Updater) String() string { return "trial" }

// Run is the part of the updater that lives as long as the program: the gate of a trial.
func (u *Updater) Run(ctx context.Context) error {
	if u.trying.Load() {
		u.gate(ctx)
	}
	<-ctx.Done()
	return nil
}

// gate lets the version that runs stay when it has been healthy for a while, and gives it up else.
func (u *Updater) gate(ctx context.Context) {
	u.mu.Lock()
	t := u.state.Trial
	t.To.Name = u.Name
	err := u.save()
	u.mu.Unlock()
	u.Log.Info("this version is on trial", "trial", t.ID, "from", t.From)
	over, end := context.WithCancel(ctx)
	defer end()
	go u.alive(over)
	deadline := time.Now().Add(u.Deadline)
	var since time.Time
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if err == nil {
			err = u.Health.Check(ctx, t.Before)
		}
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			since = time.Time{}
			if sure(err) || now.After(deadline) {
				u.giveUp(err.Error())
				return
			}
		case since.IsZero():
			since = now
		case now.Sub(since) >= u.Steady:
			u.mu.Lock()
			err := u.commit()
			u.mu.Unlock()
			if err != nil {
				u.giveUp("it could not be made the version that is started: " + err.Error())
			}
			return
		}
		err = nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// alive shows the guard, until the end of the gate, that somebody looks after the trial. It does not wait for the checks:
// the guard has a limit for them.
func (u *Updater) alive(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := os.MkdirAll(u.Memory, 0o755); err == nil {
			_ = os.WriteFile(filepath.Join(u.Memory, aliveFile), fmt.Appendf(nil, "%d", time.Now().UnixNano()), 0o644)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// confirm shows the guard that it can go.
func (u *Updater) confirm(id string) {
	_ = os.MkdirAll(u.Memory, 0o755)
	if err := os.WriteFile(filepath.Join(u.Memory, confirmedFile), []byte(id), 0o644); err != nil {
		u.Log.Error("the guard will not hear that the update is confirmed", "err", err)
	}
}

// giveUp writes the reason down and starts the machine anew, which starts the old version.
func (u *Updater) giveUp(reason string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Trial.Reason = reason
	u.Log.Error("this version is given up", "trial", u.state.Trial.ID, "reason", reason)
	tell("update given up: %s", reason)
	if err := u.save(); err != nil {
		u.Log.Error("the reason is not on the disk", "err", err)
	}
	u.reboot()
}

// commit makes the trial's version the one that the box starts. At each moment one of two whole versions is. Hold mu.
func (u *Updater) commit() error {
	t := u.state.Trial
	t.Commit = true
	if err := u.save(); err != nil {
		return err
	}
	old := t.From
	switch {
	case len(t.To.First) > 0:
		if err := writeAt(u.Disk.Device, 0, t.To.Record); err != nil {
			return err
		}
		if err := writeAt(u.Disk.Boot, 0, t.To.First); err != nil {
			return err
		}
	case t.InPlace:
		old.First, old.Record = nil, nil
		if err := u.overwriteBoot(); err != nil {
			return err
		}
	default: // The kernel in use stays, with another root.
		old.First, old.Record = nil, nil
		f, err := os.OpenFile(u.Disk.Boot, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := setRoot(f, u.stage.limits[bootPart], u.Disk.Names[t.To.Root]); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	id := t.ID
	u.state.Spare, u.state.Confirmed = &old, id
	o := u.state.end("confirmed", "")
	if err := u.save(); err != nil {
		return err
	}
	u.trying.Store(false)
	u.confirm(id)
	u.Log.Info("the update is confirmed", "trial", id, "from", o.From, "to", o.To)
	tell("update to %s confirmed", o.To)
	if err := u.stage.clear(); err != nil {
		u.Log.Error("parts of an update stay on /perm", "err", err)
	}
	return nil
}

// overwriteBoot writes the boot file system over the one in use, where there is no room for two.
func (u *Updater) overwriteBoot() error {
	f, err := os.Open(u.stage.path(bootPart))
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := copyTo(u.Disk.Boot, 0, f, 0, n); err != nil {
		return err
	}
	first, err := readAt(u.Disk.Boot, 0, sector)
	if err != nil {
		return err
	}
	record, err := u.record(first)
	if err != nil {
		return err
	}
	return writeAt(u.Disk.Device, 0, record)
}
