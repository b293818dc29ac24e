package update

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/guard"
)

// Start loads the kernel of the trial that waits, so that launch can start it. It reports whether there is one.
func (u *Updater) Start() (bool, error) {
	if !u.turn.TryLock() {
		return false, errBusy
	}
	defer u.turn.Unlock()
	return u.start()
}

// start is Start. Hold turn.
func (u *Updater) start() (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Trial == nil || u.trying.Load() {
		return false, nil
	}
	if err := u.prepare(u.state.Trial); err != nil {
		u.state.end("not started", err.Error())
		return false, errors.Join(err, u.save())
	}
	u.state.Trial.Started = true
	return true, u.save()
}

// sinceKernel is how long the machine has run, at the first start of this program: it is kept in memory for the others.
func (u *Updater) sinceKernel() time.Duration {
	file := filepath.Join(u.Memory, startedFile)
	if text, err := os.ReadFile(file); err == nil {
		took, _ := time.ParseDuration(string(text))
		return took
	}
	text, _ := os.ReadFile("/proc/uptime")
	seconds, _, _ := strings.Cut(string(text), " ")
	took, err := time.ParseDuration(seconds + "s")
	if err == nil && os.MkdirAll(u.Memory, 0o755) == nil {
		_ = os.WriteFile(file, []byte(took.String()), 0o644)
	}
	return took
}

// prepare loads the trial's kernel and command line.
func (u *Updater) prepare(t *Trial) error {
	if u.once {
		return u.prepareOnce(t)
	}
	path := u.Disk.Boot
	if t.InPlace {
		path = u.stage.path(bootPart)
	}
	f, limit, err := bootfs.Open(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	from := io.ReaderAt(f)
	if len(t.To.First) > 0 {
		from = bootfs.WithFirst{ReaderAt: f, First: t.To.First}
	}
	read := func(name string) ([]byte, error) {
		where, err := bootfs.Find(from, limit, name)
		if err != nil {
			return nil, err
		}
		return where.Read(from)
	}
	kernel, err := read(bootfs.KernelFile)
	if err != nil {
		return err
	}
	line, err := read(bootfs.CommandFile)
	if err != nil {
		return err
	}
	line = bootfs.RootArgument.ReplaceAllLiteral(bytes.TrimSpace(line), []byte("root="+u.Disk.Names[t.To.Root]))
	line = fmt.Appendf(line, " %s%s %s", Argument, t.ID, guard.Argument(u.took))
	if err := os.MkdirAll(u.Memory, 0o755); err != nil {
		return err
	}
	file := filepath.Join(u.Memory, "kernel")
	defer os.Remove(file)
	if err := os.WriteFile(file, kernel, 0o600); err != nil {
		return err
	}
	return u.load(file, string(line))
}
