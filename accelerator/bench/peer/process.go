package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a server that runs. It has a process group of its own, so that
// its workers are found, and ended, with it.
type Process struct {
	Name    string
	Address netip.AddrPort
	Dir     string // its own files: configuration, logs

	cmd  *exec.Cmd
	pids []int // all processes of the group, as Recount found them
	done chan struct{}
}

// patience is how long a server may take to begin, or to end when asked to.
const patience = 10 * time.Second

// Start runs the program with these settings (Port and Dir are filled in) on
// these cores, and waits until it accepts connections.
func (p *Program) Start(ctx context.Context, s Settings, cores ...int) (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.Dir, p.Name+"-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Workers may not be root.
		return nil, err
	}
	s.Port, s.Dir = port, dir
	config, err := p.write(s)
	if err != nil {
		return nil, err
	}
	return start(ctx, p.Name, exec.Command(p.Path, p.command(config)...), port, dir, cores)
}

// start runs a command that will listen on the port.
func start(ctx context.Context, name string, cmd *exec.Cmd, port int, dir string, cores []int) (*Process, error) {
	output, err := os.Create(filepath.Join(dir, "output.txt"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = output, output, dir
	// The signal is for the case that this program is killed: it asks the server,
	// workers and all, to end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := startOn(cores, cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	process := &Process{
		Name: name, Dir: dir, cmd: cmd, done: make(chan struct{}),
		Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)),
	}
	go func() {
		cmd.Wait()
		close(process.done)
	}()
	if err := process.ready(ctx); err != nil {
		process.Stop()
		return nil, err
	}
	return process, nil
}

// ready waits until the server accepts connections.
func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", p.Address.String())
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %s", p.Name, p.output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not accept connections at %v: %s", p.Name, p.Address, p.output())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return p.Recount()
}

// Recount finds the processes of the server anew. To be called when it has
// answered, for then all its workers are there.
func (p *Process) Recount() (err error) {
	p.pids, err = group(p.cmd.Process.Pid)
	return err
}

// output is the end of what the server printed.
func (p *Process) output() string {
	const most = 1000
	b, err := os.ReadFile(filepath.Join(p.Dir, "output.txt"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// Stop ends the server and all its workers, and removes its files.
func (p *Process) Stop() {
	leader := p.cmd.Process.Pid
	syscall.Kill(-leader, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
	}
	// Whatever is left of the group; mostly there is nothing, and that is ESRCH.
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "%s: kill: %v\n", p.Name, err)
	}
	<-p.done
	os.RemoveAll(p.Dir)
}

// freePort returns a port that is free now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
