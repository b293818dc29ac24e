package update

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// lookEvery is from the end of one look at the box to the next one, while a version is on trial.
const lookEvery = time.Second

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

// OnTrial reports whether the version that runs is on trial.
func (u *Updater) OnTrial() bool { return u.trying.Load() }

// gate lets the version that runs stay when it has been healthy for a while, and gives it up else.
func (u *Updater) gate(ctx context.Context) {
	u.mu.Lock()
	t := u.state.Trial
	if t == nil { // Somebody was faster.
		u.mu.Unlock()
		return
	}
	t.To.Name = u.Name
	id, from, before := t.ID, t.From, t.Before
	err := u.save()
	u.mu.Unlock()
	u.Log.Info("this version is on trial", "trial", id, "from", from)
	over, end := context.WithCancel(ctx)
	defer end()
	go u.alive(over)
	deadline := time.Now().Add(u.Deadline)
	var since time.Time
	for u.trying.Load() {
		if err == nil {
			err = u.Health.Check(ctx, before)
		}
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			since = time.Time{}
			if sure(err) || now.After(deadline) {
				_ = u.decide(err.Error()) // Somebody else may have.
				return
			}
		case since.IsZero():
			since = now
		case now.Sub(since) >= u.Steady:
			_ = u.decide("")
			return
		}
		err = nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(lookEvery, u.Steady)):
		}
	}
}

// errNoTrial is the answer to who would decide over nothing.
var errNoTrial = refuse(http.StatusConflict, "no version is on trial")

// decide ends the trial of the version that runs: without a reason against it, it stays. Who comes first decides. A
// version that is given up ends with the machine's restart.
func (u *Updater) decide(against string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.trying.Load() || u.given {
		return errNoTrial
	}
	if against == "" {
		err := u.commit()
		if err == nil {
			return nil
		}
		against = "it could not be made the version that is started: " + err.Error()
	}
	u.given = true
	u.giveUp(against)
	return nil
}

// GiveUp ends the trial of the version that runs, if it is on one, for that reason: the machine starts the old one.
func (u *Updater) GiveUp(why string) error { return u.decide(why) }

// Keep ends the trial of the version that runs, if it is on one: whatever the checks say, it stays.
func (u *Updater) Keep() error { return u.decide("") }

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

// giveUp writes the reason down and starts the machine anew, which starts the old version. Hold mu.
func (u *Updater) giveUp(reason string) {
	u.state.Trial.Reason = reason
	u.Log.Error("this version is given up", "trial", u.state.Trial.ID, "reason", reason)
	tell("update given up: %s", reason)
	if err := u.save(); err != nil {
		u.Log.Error("the reason is not on the disk", "err", err)
	}
	u.reboot()
}
