package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that takes a moment.
const patience = 20 * time.Second

// buildDir is where the program is built; TestMain makes it and removes it.
var buildDir string

// built builds the program, once for all tests, and returns its path.
var built = sync.OnceValues(func() (string, error) {
	name := filepath.Join(buildDir, "accelerator")
	args := []string{"build", "-o", name, "."}
	if underRace {
		args = []string{"build", "-race", "-o", name, "."}
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "accelerator-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(status)
}

// program returns the path of the program.
func program(t *testing.T) string {
	t.Helper()
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// command is the program with these arguments.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // Else each waits a second at its end.
	return cmd
}

// process is the program at work.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	listen  string // where it listens
	ended   chan struct{}
	stopped bool

	mu  sync.Mutex
	log []string      // guarded by mu: the lines that it printed
	new chan struct{} // guarded by mu: closed at the next line
}

// start starts the program on a free port of loopback, and waits until it is
// ready. It is stopped by the end of the test.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	line := p.wait("msg=ready")
	_, rest, _ := strings.Cut(line, "listen=")
	p.listen, _, _ = strings.Cut(rest, " ")
	return p
}

// launch starts the program.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(t, args...), ended: make(chan struct{}), new: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	err = p.cmd.Start()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		defer out.Close()
		p.read(out)
	}()
	t.Cleanup(func() {
		if !p.stopped {
			p.stop()
		}
	})
	return p
}

func (p *process) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		close(p.new)
		p.new = make(chan struct{})
		p.mu.Unlock()
	}
}

// lines returns the log so far, and a channel that is closed when there is more.
func (p *process) lines() ([]string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log, p.new
}

// wait waits for a line of the log with that text, and returns it.
func (p *process) wait(text string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		log, more := p.lines()
		for _, line := range log {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-more:
		case <-p.ended:
			if log, _ := p.lines(); !strings.Contains(strings.Join(log, "\n"), text) {
				p.t.Fatalf("the program ended without %q in its log:\n%s", text, strings.Join(log, "\n"))
			}
		case <-timeout:
			p.t.Fatalf("no %q in the log:\n%s", text, strings.Join(log, "\n"))
		}
	}
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Error(err)
	}
}

// stop ends the program as a supervisor does, and wants it to end well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if status := p.end(); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		p.t.Errorf("after SIGTERM: exit status %d, signal %q; it should end by SIGTERM itself", status.ExitStatus(), status.Signal())
	}
}

// end waits for the end of the program.
func (p *process) end() syscall.WaitStatus {
	p.t.Helper()
	p.stopped = true
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Error("the program does not end")
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = p.cmd.Wait() // The status says it.
	log, _ := p.lines()
	for _, line := range log {
		if strings.Contains(line, "DATA RACE") || strings.Contains(line, "panic") {
			p.t.Errorf("in the log of the program:\n%s", strings.Join(log, "\n"))
			break
		}
	}
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// output runs the program to its end and returns what it printed and its exit
// status.
func output(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
