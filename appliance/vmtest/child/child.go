// Package child starts programs that do not outlive this one.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a running child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read after done
}

// Start starts cmd. When this program dies, however it dies, the kernel sends
// the child that signal. The child has a process group of its own, so that
// Ctrl-C on a terminal reaches this program alone.
func Start(cmd *exec.Cmd, whenOrphaned syscall.Signal) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: whenOrphaned, Setpgid: true}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.supervise(started)
	return p, <-started
}

// supervise starts the child and waits for its end. It keeps its thread to
// itself all the while: the kernel sends the signal when the *thread* that
// started the child ends (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends
// idle threads at will.
func (p *Process) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		err = p.cmd.Wait()
	}
	p.err = err
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the child's end and returns how it ended.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Kill kills the child and all that it has started and that stayed in its process group, and waits for its end.
func (p *Process) Kill() {
	select {
	case <-p.done: // The group's number may be another's by now.
		return
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Stop sends the child a signal that makes it end, and waits for that.
func (p *Process) Stop(s syscall.Signal) {
	select {
	case <-p.done:
		return
	default:
	}
	// An error means that it has just ended by itself.
	_ = p.cmd.Process.Signal(s)
	<-p.done
}
