package watch

import (
	"cmp"
	"context"
	"log/slog"
)

// Versions are those of the box's system, as package update knows them.
type Versions interface {
	// GiveUp ends the trial of the version that runs; the machine starts the old one. The error says that none is on trial.
	GiveUp(why string) error
	// FallBack starts the version before the one that runs, on trial. The error says why not.
	FallBack(ctx context.Context, why string) error
}

// Escalation is what is done when the accelerator cannot be mended: the first of these steps that is possible. Neither of
// them returns on a box.
//
//	the version that runs is on trial       it is given up
//	an older version is whole               it is tried, as an update is
//	neither, or that has not helped either  the machine is rebooted, at most once an hour
type Escalation struct {
	Versions Versions // nil: there are no trials on this machine
	Reboot   *Reboot
	Log      *slog.Logger // nil means slog.Default()
}

// Escalate is for Watcher.Escalate.
func (e *Escalation) Escalate(ctx context.Context, why string) error {
	log := cmp.Or(e.Log, slog.Default())
	if e.Versions != nil {
		if e.Versions.GiveUp(why) == nil {
			return nil
		}
		if e.Reboot.Allowed {
			err := e.Versions.FallBack(ctx, why)
			if err == nil {
				return nil
			}
			log.Info("there is no version to fall back to", "err", err)
		}
	}
	return e.Reboot.Escalate(ctx, why)
}
