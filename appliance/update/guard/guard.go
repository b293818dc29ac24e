// Package guard watches over the trial of a new version, from under it. The kernel starts, as its first program, the
// appliance of the old version, which has proven itself: from memory where one kernel starts another, else from the old
// root, by a command line that holds for this start alone. That leaves a watcher behind and becomes the new version's
// init. If the trial is not confirmed in time the watcher starts the machine anew, which brings the old version back:
// whatever the new one is, it does not stay by itself.
package guard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/update/disk"
)

// The files by which the trial and the watcher know each other.
const (
	Alive     = "/run/ramjet/update/alive"     // changed all the time by whoever looks after the trial
	Confirmed = "/run/ramjet/update/confirmed" // there when the trial is over, and well
	Reason    = "/perm/ramjet/update/guard.txt"
)

// silence is how long the watcher waits for the next sign of life.
const silence = 10 * time.Second

// watcher is the name under which the watcher runs.
const watcher = "ramjet-guard"

// Main is the whole program where it is the guard; else it returns at once.
func Main() {
	switch {
	case os.Getpid() == 1:
		say("cannot start the version on trial: %v", enter())
		restart()
	case filepath.Base(os.Args[0]) == watcher:
		watch("/proc/1/root")
	}
}

// enter makes this process the new version's init. It returns only an error.
func enter() error {
	for _, m := range []struct{ kind, dir string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	if err := noMore(); err != nil {
		// To start anew would lead here again.
		say("the command line stays as it is (%v): starting the version in use", err)
		return become(initProgram)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{watcher}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the watcher: %w", err)
	}
	root, err := waitRoot(30 * time.Second)
	if err != nil {
		return err
	}
	at, err := mountPoint()
	if err != nil {
		return err
	}
	if err := unix.Mount(root, at, "squashfs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", root, err)
	}
	if err := lendModules(at); err != nil {
		return err
	}
	if err := unix.Chdir(at); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return become(initProgram)
}

// initProgram is the first program of a version, in its root.
const initProgram = "/gokrazy/init"

// become makes this process a program, or returns why not.
func become(program string) error {
	return fmt.Errorf("%s: %w", program, unix.Exec(program, []string{program}, os.Environ()))
}

// waitRoot waits until the root's device is there.
func waitRoot(patience time.Duration) (string, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		device, err := findRoot()
		if err == nil {
			if _, err = os.Stat(device); err == nil {
				return device, nil
			}
		}
		if time.Now().After(deadline) {
			return "", err
		}
	}
}

// findRoot asks for the device that the command line names.
func findRoot() (string, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	d, err := disk.Find(string(line), "/sys", "/dev")
	return d.Roots[d.Active], err
}

// watch returns never: it ends when the trial is confirmed, or starts the machine anew. root is where the new version's
// files are.
func watch(root string) {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	begun := time.Now()
	line, _ := os.ReadFile("/proc/cmdline")
	first := patience(string(line))
	var seen []byte
	var at time.Time
	for {
		if _, err := os.Stat(root + Confirmed); err == nil {
			_ = os.Remove("/init") // of the memory, whose only user this is
			os.Exit(0)
		}
		if now, err := os.ReadFile(root + Alive); err == nil && !bytes.Equal(now, seen) {
			seen, at = now, time.Now()
		}
		if why := verdict(time.Since(begun), first, at, time.Now()); why != "" {
			say("%s: starting the old version", why)
			note(root+Reason, why)
			restart()
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// verdict says why the trial is over, after that time and with the last sign of life at that moment, or nothing. first is
// how long the first sign may take.
func verdict(after, first time.Duration, alive, now time.Time) string {
	switch {
	case after > limit(first):
		return fmt.Sprintf("not confirmed within %v", limit(first))
	case alive.IsZero() && after > first:
		return fmt.Sprintf("no program of the new version has looked after the trial within %v", first)
	case !alive.IsZero() && now.Sub(alive) > silence:
		return fmt.Sprintf("the new version's appliance was silent for %v", silence)
	}
	return ""
}

// note writes a reason to the disk, if the disk lets it.
func note(path, why string) {
	within(3*time.Second, func() {
		if f, err := os.Create(path); err == nil {
			fmt.Fprintln(f, why)
			_ = f.Sync()
			f.Close()
		}
	})
}

// restart starts the machine anew, through its firmware.
func restart() {
	within(3*time.Second, unix.Sync)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("b"), 0)
	select {}
}

// within does something for that long at most.
func within(patience time.Duration, do func()) {
	done := make(chan struct{})
	go func() { do(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
	}
}

// Say writes a line to the console.
func Say(format string, args ...any) {
	if f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err == nil {
		fmt.Fprintf(f, format+"\r\n", args...)
		f.Close()
	}
}

func say(format string, args ...any) { Say("ramjet guard: "+format, args...) }
