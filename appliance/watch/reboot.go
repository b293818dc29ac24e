package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/durable"
)

// Reboot is the last step: it starts the machine anew, at most once an hour, whatever happens.
type Reboot struct {
	File string // what it remembers
	// Allowed is true on a box, whose machine is nobody else's.
	Allowed bool

	restart func() error // nil: the machine
	uptime  func() time.Duration
}

const (
	rebootEvery = time.Hour
	clockKnown  = 2025 // before this year the clock has not been set
)

type rebooted struct {
	Time time.Time `json:"time"`
	Why  string    `json:"why"`
}

// Escalate is for Watcher.Escalate.
func (r *Reboot) Escalate(_ context.Context, why string) error {
	if !r.Allowed {
		return errors.New("this machine may not be rebooted")
	}
	if err := r.due(time.Now()); err != nil {
		return err
	}
	text, err := json.Marshal(rebooted{time.Now().UTC(), why})
	if err != nil {
		return err
	}
	if err := durable.MakeDir(filepath.Dir(r.File)); err != nil {
		return fmt.Errorf("no reboot that would not be remembered: %w", err)
	}
	if err := durable.Write(r.File, text); err != nil {
		return fmt.Errorf("no reboot that would not be remembered: %w", err)
	}
	if r.restart != nil {
		return r.restart()
	}
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// due says why not yet. A boot that has lasted an hour needs no clock.
func (r *Reboot) due(now time.Time) error {
	text, err := durable.Read(r.File)
	if err != nil {
		return fmt.Errorf("no reboot without knowing of the last: %w", err)
	}
	if text == nil || r.up() >= rebootEvery {
		return nil
	}
	var last rebooted
	if err := json.Unmarshal(text, &last); err == nil && last.Time.Year() >= clockKnown && now.Year() >= clockKnown && now.Sub(last.Time).Abs() >= rebootEvery {
		return nil
	}
	return fmt.Errorf("the box was rebooted less than %v ago, because %s", rebootEvery, last.Why)
}

func (r *Reboot) up() time.Duration {
	if r.uptime != nil {
		return r.uptime()
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
