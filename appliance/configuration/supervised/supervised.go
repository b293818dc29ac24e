// Package supervised runs the real accelerator for tests as the box does: built once, and started again when it ends.
package supervised

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Accelerator is one that runs until the end of the test.
type Accelerator struct {
	Dir     string // of everything
	Config  string // its configuration
	Over    string // one that comes before it
	Socket  string
	Program string
	Listen  string // its address, unless the configuration says otherwise

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  bool
	log    bytes.Buffer
	starts int // guarded by mu
}

// builtIn is the directory of what was built, if anything was.
var builtIn string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "supervised-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "accelerator"), "ramjet/accelerator").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	return dir, nil
})

// Program builds the accelerator. Remove comes at the end of all tests.
func Program(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "accelerator")
}

// Remove removes what was built.
func Remove() {
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
}

// Start starts it with a site of one page.
func Start(t testing.TB) *Accelerator {
	t.Helper()
	dir, err := os.MkdirTemp("", "box-") // Short: sockets want that.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &Accelerator{Dir: dir, Config: filepath.Join(dir, "ramjet.json"), Over: filepath.Join(dir, "site", "ramjet.json"),
		Socket: filepath.Join(dir, "a.sock"), Program: Program(t), Listen: FreeAddress(t)}
	if err := os.Mkdir(filepath.Join(dir, "site"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "site", "index.html"), []byte("home"), 0o644); err != nil {
		t.Fatal(err)
	}
	var loop sync.WaitGroup
	loop.Go(func() {
		for a.once() {
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Cleanup(func() {
		a.mu.Lock()
		a.ended = true
		if a.cmd != nil {
			_ = a.cmd.Process.Kill()
		}
		a.mu.Unlock()
		loop.Wait()
		if t.Failed() {
			t.Logf("the accelerator said:\n%s", &a.log)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("unix", a.Socket); err == nil {
			c.Close()
			return a
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// once runs it once, and reports whether it is to be started again.
func (a *Accelerator) once() bool {
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return false
	}
	a.cmd = exec.Command(a.Program, "-config", a.Over, "-config", a.Config, "-listen-default", a.Listen, "-root", filepath.Join(a.Dir, "site"), "-admin", a.Socket)
	a.cmd.Stderr = &a.log
	err := a.cmd.Start()
	a.starts++
	cmd := a.cmd
	a.mu.Unlock()
	if err != nil {
		return false
	}
	_ = cmd.Wait()
	return true
}

// Kill ends it, without a word.
func (a *Accelerator) Kill() {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.cmd.Process.Kill()
}

// Count is how often it was started.
func (a *Accelerator) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.starts
}

// FreeAddress is one that nobody listens on now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
