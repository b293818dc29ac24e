package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"ramjet/appliance/health"
)

// Dog is a watchdog device that resets the machine unless it is fed (Linux watchdog API). gokrazy's init holds the first one
// and feeds it whatever the services do; this is for a second one. mdlayher/watchdog opens the first one alone.
//
// It is armed by the first probe that passes, so that a box whose accelerator never comes up is not reset again and again: a
// reset would not mend that. An end that was asked for disarms it; the end of this program by itself does not.
type Dog struct {
	Path string // /dev/watchdog1

	file   *os.File
	missed error // why it is not armed, once that was tried

	mu   sync.Mutex
	text string       // guarded by mu
	is   health.State // guarded by mu
}

// dogTime is how long it waits: longer than it takes to end a hung accelerator and to start it again.
const dogTime = 60 // seconds

// arm opens the device, once.
func (d *Dog) arm(log *slog.Logger) {
	if d.file != nil || d.missed != nil {
		return
	}
	d.file, d.missed = d.open()
	switch {
	case errors.Is(d.missed, fs.ErrNotExist):
		d.missed = fmt.Errorf("the kernel has no second watchdog (%s)", d.Path)
		log.Info("no second watchdog", "device", d.Path)
		d.say(health.Unknown, d.missed.Error())
	case d.missed != nil:
		log.Warn("the second watchdog cannot be used", "err", d.missed)
		d.say(health.Unknown, d.missed.Error())
	}
}

func (d *Dog) open() (*os.File, error) {
	f, err := os.OpenFile(d.Path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	_ = unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, dogTime) // Some have a time that cannot be changed.
	seconds, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT)
	if err == nil && seconds < 10 {
		err = fmt.Errorf("%s: its time is %d s, too short", d.Path, seconds)
	}
	if err != nil {
		_, _ = f.WriteString("V")
		f.Close()
		return nil, err
	}
	name := "watchdog"
	if info, err := unix.IoctlGetWatchdogInfo(fd); err == nil {
		name = strings.TrimRight(string(info.Identity[:]), "\x00")
	}
	slog.Info("the second watchdog is armed", "device", d.Path, "is", name, "seconds", seconds)
	d.say(health.OK, fmt.Sprintf("%s, %s, resets the machine after %d s without a probe that passes", d.Path, name, seconds))
	return f, nil
}

func (d *Dog) feed(log *slog.Logger) {
	if d.file == nil {
		return
	}
	if err := unix.IoctlWatchdogKeepalive(int(d.file.Fd())); err != nil {
		log.Error("the second watchdog cannot be fed", "err", err)
	}
}

// release disarms it (the magic close of the watchdog API).
func (d *Dog) release() {
	if d == nil || d.file == nil {
		return
	}
	_, _ = d.file.WriteString("V")
	d.file.Close()
	d.file = nil
}

func (d *Dog) say(is health.State, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is, d.text = is, text
}

func (d *Dog) note() health.Check {
	c := health.Check{Name: "watchers/watchdog", State: health.Unknown, Detail: "not looked for"}
	if d == nil {
		return c
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.text == "" {
		c.Detail = "armed when a probe passes"
	} else {
		c.State, c.Detail = d.is, d.text
	}
	return c
}
