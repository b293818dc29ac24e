package peer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time, user and system, that the server has used so far: of
// all its processes and all their threads, ended ones included.
func (p *Process) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p.pids {
		// The clock that clock_getcpuclockid(3) would return.
		const scheduled = 2
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
			return 0, fmt.Errorf("%s has lost a process: clock_gettime: %w: %s", p.Name, err, p.output())
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// Threads returns the CPU time of each thread that the server has now.
func (p *Process) Threads() (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	for _, pid := range p.pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // It ended a moment ago.
			}
			if err != nil {
				return nil, err
			}
			ran, _, _ := strings.Cut(string(b), " ")
			ns, err := strconv.ParseInt(ran, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			times[file] = time.Duration(ns)
		}
	}
	return times, nil
}

// Memory returns the server's resident memory in bytes. What its processes
// share counts once (Pss).
func (p *Process) Memory() (int64, error) {
	var sum int64
	for _, pid := range p.pids {
		kb, err := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
		if err != nil {
			return 0, err
		}
		sum += kb << 10
	}
	return sum, nil
}

// field returns the number behind a name in a file of /proc.
func field(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) > 1 && f[0] == name {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no line %s", file, name)
}

// group returns the processes of a process group.
func group(leader int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // It ended a moment ago.
		}
		// pid (name) state parent group …, and the name may contain anything.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && len(f) > 2 && f[2] == strconv.Itoa(leader) {
			pids = append(pids, pid)
		}
	}
	if !slices.Contains(pids, leader) {
		return nil, fmt.Errorf("process %d is not there", leader)
	}
	return pids, nil
}
