// Package farm runs a real dynamic web server for the stories, the pairing
// that kHTTPd was made for: Apache httpd with CGI programs, among them cgit
// and git's own server, over a git repository.
package farm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/vmtest/child"
)

// Farm is an Apache httpd with a configuration of its own on a loopback port.
// A box in a virtual machine reaches it as 10.0.2.2.
type Farm struct {
	// Port on 127.0.0.1.
	Port int
	// Dir holds everything: configuration, logs, programs, repository.
	Dir string
	// Repository is the bare git repository that cgit shows.
	Repository string

	program string
	process *child.Process
}

// New sets a farm up in dir, which other users must be able to read, and does
// not start it. Documents is a directory of static files, or empty.
func New(ctx context.Context, dir, documents string) (*Farm, error) {
	program, err := instance.LookTool("apache2", "apache2-bin")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(cgit); err != nil {
		return nil, fmt.Errorf("cgit is missing; it is in the Debian package cgit: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	f := &Farm{Port: port, Dir: dir, Repository: filepath.Join(dir, "repos", "story.git"), program: program}
	if documents == "" {
		documents = filepath.Join(dir, "documents")
	}
	for _, d := range []string{"documents", "cgi", "repos", "cache"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgi", "echo"), []byte(echo), 0o755); err != nil {
		return nil, err
	}
	if err := makeRepository(ctx, f.Repository); err != nil {
		return nil, err
	}
	if err := f.configure(ctx, documents); err != nil {
		return nil, err
	}
	return f, nil
}

// freePort asks the kernel for a port. Another program might take it before
// Apache does; then Start says so.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Config is the ramjet.json of a box in front of this farm, with further
// settings in between: `"content": {…},`.
func (f *Farm) Config(settings string) string {
	return fmt.Sprintf("{\n  %s\n  \"backends\": [{\"url\": \"http://10.0.2.2:%d\"}],\n}\n", settings, f.Port)
}

// Start starts the farm and returns when it accepts connections.
func (f *Farm) Start() error {
	log, err := os.OpenFile(filepath.Join(f.Dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(f.program, "-D", "FOREGROUND", "-f", filepath.Join(f.Dir, "httpd.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	f.process, err = child.Start(cmd, syscall.SIGTERM)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-f.process.Done():
			return fmt.Errorf("apache2 ended: %w\n%s", f.process.Err(), f.Log())
		default:
		}
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.Port)); err == nil {
			return c.Close()
		}
	}
	f.Stop()
	return errors.New("apache2 does not listen within 20 s\n" + f.Log())
}

// Stop stops the farm; what it was doing is cut. Start starts it again on the
// same port.
func (f *Farm) Stop() {
	if f.process != nil {
		f.process.Stop(syscall.SIGTERM)
	}
}

// Kill is kill -9 of all its processes: no word to anybody. Start starts it again.
func (f *Farm) Kill() {
	if f.process != nil {
		f.process.Kill()
	}
}

// Log returns what Apache has printed and logged as errors.
func (f *Farm) Log() string {
	var all strings.Builder
	for _, name := range []string{"output.log", "error.log"} {
		text, err := os.ReadFile(filepath.Join(f.Dir, name))
		if err != nil {
			text = []byte(err.Error() + "\n")
		}
		all.Write(text)
	}
	return all.String()
}
