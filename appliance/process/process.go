// Package process says which process is behind a socket, as the kernel knows it, and what it does.
//
// Between finding a process and doing something to it, it may end and its number may become another's. So an ID has the
// time of the start as well, and End holds on to the process (pidfd) before it looks once more.
package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/*/stat: USER_HZ, which is 100 wherever Linux runs.
const tick = time.Second / 100

// ID is one process, for ever.
type ID struct {
	PID   int
	Start uint64 // ticks since boot
}

// Stat is what a process does.
type Stat struct {
	ID
	State byte          // of its first thread: R, S, D, T, Z
	CPU   time.Duration // that it has used
}

// Find returns the process that has the number now.
func Find(pid int) (ID, error) {
	s, err := Look(pid)
	return s.ID, err
}

// Look reads /proc/PID/stat (proc_pid_stat(5)).
func Look(pid int) (Stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stat{}, err
	}
	// The second field is the name, in parentheses, and may hold anything.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	f := strings.Fields(rest)
	if len(f) < 20 {
		return Stat{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	var n [3]uint64
	for i, at := range []int{11, 12, 19} { // utime, stime, starttime
		if n[i], err = strconv.ParseUint(f[at], 10, 64); err != nil {
			return Stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
	}
	return Stat{ID{pid, n[2]}, f[0][0], time.Duration(n[0]+n[1]) * tick}, nil
}

// Age is how long the process runs.
func (id ID) Age() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(now.Nano()) - time.Duration(id.Start)*tick, nil
}

// OfSocket returns who listens on a Unix socket, whether it answers or not (SO_PEERCRED).
func OfSocket(path string) (ID, error) {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return ID{}, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return ID{}, err
	}
	var who *unix.Ucred
	err2 := raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, err2); err != nil {
		return ID{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	return Find(int(who.Pid))
}

// Program is the file name of what a process runs.
func Program(pid int) (string, error) {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	// A program that was replaced while it ran has this behind its name.
	return filepath.Base(strings.TrimSuffix(exe, " (deleted)")), err
}

// Listeners returns all processes that hold a socket which listens on the TCP port.
func Listeners(port int) ([]ID, error) {
	sockets := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, inode := range listening(string(text), port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	if len(sockets) == 0 {
		return nil, nil
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var all []ID
	for _, dir := range processes {
		if !holds(dir+"/fd", sockets) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if id, err := Find(pid); err == nil {
			all = append(all, id)
		}
	}
	return all, nil
}

// listening reads a table of the kernel's TCP sockets and returns the inodes of those that listen on the port.
func listening(text string, port int) (inodes []string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
			continue
		}
		_, digits, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(digits, 16, 16); err == nil && int(n) == port {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// holds reports whether one of a process's descriptors is one of the sockets. Whose may not be seen are not.
func holds(dir string, sockets map[string]bool) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && sockets[to] {
			return true
		}
	}
	return false
}

// End kills the process (SIGKILL), if it is still the one that is meant.
func End(id ID) error {
	p, err := os.FindProcess(id.PID) // On Linux it holds the process, not the number.
	if err != nil {
		return err
	}
	defer p.Release()
	if now, err := Find(id.PID); err != nil || now != id {
		return fmt.Errorf("process %d is another one by now", id.PID)
	}
	return p.Kill()
}
