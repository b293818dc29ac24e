package update

import (
	"context"
	"net/http"
)

// Rollback has the next restart try the version before this one, as somebody wants it.
func (u *Updater) Rollback(ctx context.Context) error {
	if !u.turn.TryLock() {
		return errBusy
	}
	defer u.turn.Unlock()
	u.mu.Lock()
	spare := u.state.Spare
	u.mu.Unlock()
	if u.trying.Load() || spare == nil {
		return refuse(http.StatusConflict, "there is no other version that is whole")
	}
	trial, err := u.newTrial(*spare, u.Health.Look(ctx))
	if err != nil {
		return err
	}
	trial.Back = true
	return u.change(func(s *State) { s.Trial = trial })
}

// FallBack tries the version before this one at once, because the one that runs cannot be mended. It has to be as well as
// the box was while all was well: what fails now is the reason, and not forgiven. A version that was fallen back from, or
// that was given up itself, is nothing to fall back to: so this is done once, and not in turns. It does not return if it
// succeeds.
func (u *Updater) FallBack(_ context.Context, why string) error {
	if !u.turn.TryLock() {
		return errBusy
	}
	defer u.turn.Unlock()
	u.mu.Lock()
	spare := u.state.Spare
	u.mu.Unlock()
	if u.trying.Load() || spare == nil || !spare.Proven {
		return refuse(http.StatusConflict, "there is no older version that has proven itself")
	}
	trial, err := u.newTrial(*spare, u.Health.Known())
	if err != nil {
		return err
	}
	trial.Back, trial.Why = true, why
	if err := u.change(func(s *State) { s.Trial = trial }); err != nil {
		return err
	}
	if _, err := u.start(); err != nil {
		return err
	}
	u.Log.Error("falling back to the version before this one", "trial", trial.ID, "to", trial.To, "why", why)
	tell("falling back to %s: %s", trial.To, why)
	u.launch()
	return nil
}
