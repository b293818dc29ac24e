// Package configuration has the accelerator's configuration checked and put to work, from outside: by the accelerator's own
// check, and through its admin socket. What a reload does not change takes a start, which is had by ending the accelerator:
// whoever supervises it starts it again.
package configuration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"ramjet/appliance/process"
	"ramjet/appliance/unixhttp"
)

// MaxFile is the size in bytes of the largest file: that of the accelerator.
const MaxFile = 1 << 20

// File is the accelerator's configuration.
type File struct {
	Path    string // /perm/ramjet.json
	Socket  string // the accelerator's admin socket
	Program string // the accelerator

	checking sync.Mutex // one check at a time: there is traffic as well
}

// Status is what counts here of the accelerator's status.
type Status struct {
	Started      time.Time `json:"started"`
	Ready        bool      `json:"ready"`
	Config       string    `json:"config"` // the file in force
	NeedsRestart []string  `json:"needs_restart"`
}

// checkTime bounds a check.
const checkTime = 30 * time.Second

// Check has the accelerator check a text. Nil, no file, is always right.
func (f *File) Check(ctx context.Context, text []byte) error {
	if text == nil {
		return nil
	}
	if len(text) > MaxFile {
		return fmt.Errorf("%s: larger than %d bytes", f.Path, MaxFile)
	}
	// In the same folder: relative paths in it count from there.
	dir, base := filepath.Split(f.Path)
	candidate := filepath.Join(dir, "."+base+".check")
	f.checking.Lock()
	defer f.checking.Unlock()
	defer os.Remove(candidate)
	if err := os.WriteFile(candidate, text, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.Program, "-config", candidate, "-check")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("the check did not end in time: %w", ctx.Err())
	case errors.As(err, new(*exec.ExitError)):
		said := strings.ReplaceAll(string(out), candidate, f.Path)
		return errors.New(strings.TrimSpace(said))
	}
	return fmt.Errorf("the accelerator cannot be asked: %w", err)
}

// Overruled says why the file does not count, if it does not: another one, on the content partition, comes before it.
func (f *File) Overruled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status, err := f.status(ctx)
	if err != nil || status.Config == "" || status.Config == f.Path {
		return nil // An accelerator that is not there can be helped by another configuration.
	}
	return fmt.Errorf("the configuration in force is %s, which comes before %s: a change of the latter would change nothing. "+
		"Edit that file where it is, on the content partition; or remove or rename it, and try again", status.Config, f.Path)
}

// Apply puts the file to work. It may be called again.
func (f *File) Apply(ctx context.Context) (string, error) {
	said, err := f.untilReached(ctx, func() (string, error) { return f.ask(ctx, http.MethodPost, "/reload") })
	if err != nil {
		return "", err
	}
	status, err := f.status(ctx)
	if err != nil || len(status.NeedsRestart) == 0 {
		return said, err
	}
	if err := f.restart(ctx, status.Started); err != nil {
		return "", err
	}
	return said + "; started again for that", nil
}

// Reload has the accelerator read content and configuration anew, without a restart. It returns when they are in force.
func (f *File) Reload(ctx context.Context) error {
	_, err := f.untilReached(ctx, func() (string, error) { return f.ask(ctx, http.MethodPost, "/reload") })
	return err
}

// refused is the accelerator's answer that it will not.
type refused struct{ error }

// untilReached calls again until the accelerator answers: it may be just starting, and with another file than now.
func (f *File) untilReached(ctx context.Context, call func() (string, error)) (string, error) {
	for {
		said, err := call()
		if err == nil || errors.As(err, new(refused)) {
			return said, err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the accelerator does not answer: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// impatience is how long the accelerator may finish what it has begun, before it is told a second time to end.
const impatience = 12 * time.Second

// restart ends the accelerator that was started then, and returns when there is another one that serves.
func (f *File) restart(ctx context.Context, started time.Time) error {
	id, err := process.OfSocket(f.Socket)
	if err != nil {
		return err
	}
	p, err := os.FindProcess(id.PID) // It holds the process, not the number.
	if err != nil {
		return err
	}
	defer p.Release()
	if now, err := process.OfSocket(f.Socket); err != nil || now != id {
		return errors.New("the accelerator ends by itself right now")
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the accelerator cannot be started again: %w", err)
	}
	again := time.AfterFunc(impatience, func() { _ = p.Signal(syscall.SIGTERM) })
	defer again.Stop()
	_, err = f.untilReached(ctx, func() (string, error) {
		status, err := f.status(ctx)
		switch {
		case err != nil:
			return "", err
		case status.Started.Equal(started) || !status.Ready:
			return "", errors.New("it has not started again yet")
		case len(status.NeedsRestart) > 0:
			return "", refused{fmt.Errorf("the accelerator was started again, but not with %s", strings.Join(status.NeedsRestart, ", "))}
		}
		return "", nil
	})
	return err
}

func (f *File) status(ctx context.Context) (Status, error) {
	var status Status
	text, err := f.ask(ctx, http.MethodGet, "/status")
	if err == nil {
		err = json.Unmarshal([]byte(text), &status)
	}
	return status, err
}

// Raw returns the accelerator's whole status.
func (f *File) Raw(ctx context.Context) (json.RawMessage, error) {
	text, err := f.ask(ctx, http.MethodGet, "/status")
	return json.RawMessage(text), err
}

// ask makes one request to the admin socket.
func (f *File) ask(ctx context.Context, method, path string) (string, error) {
	client := http.Client{Transport: unixhttp.Transport(f.Socket)}
	request, err := http.NewRequestWithContext(ctx, method, "http://accelerator"+path, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	text = bytes.TrimSpace(text)
	if err == nil && response.StatusCode != http.StatusOK {
		err = refused{errors.New(string(text))}
	}
	return string(text), err
}
