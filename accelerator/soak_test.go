package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// soakTime is short in the ordinary tests; `make soak` has it long.
var soakTime = flag.Duration("soak", 4*time.Second, "duration of TestSoak; from a minute on it judges the memory, too")

// The settings of the soak: times that pass a few times in a minute, limits that
// a flood reaches.
const (
	soakHeadTime    = 5 * time.Second
	soakIdleTime    = 6 * time.Second
	soakStallTime   = 4 * time.Second
	soakConnections = 500
	soakPerAddress  = 240
	soakSettings    = `{
	"content": {"root": "site", "memory_per_file": "64KiB"},
	"admin": "a.sock",
	"backends": [{"url": "http://%s"}],
	"limits": {"head_time": "%v", "idle_time": "%v", "stall_time": "%v", "connections": %d, "connections_per_address": %d},
	"access_log": {"format": "combined", "to": "log/access.log", "rotate_bytes": "1MiB", "keep_bytes": "4MiB"}
}`
)

// soak is a program under load.
type soak struct {
	*hooked
	site   *changingSite
	ctx    context.Context // ends when the time is over
	cancel context.CancelFunc
	counts map[string]*atomic.Int64 // of what was done well, by kind of client; the map is not changed

	failures atomic.Int64
	reloads  int // asked for
}

// enoughFailures is how many are told before the soak gives up.
const enoughFailures = 20

// Clients of all kinds, well-behaved, slow and rude, are served for a long time
// while the site changes and the program reloads. Nothing may go wrong that the
// client did not cause, and nothing may be left when all have gone.
func TestSoak(t *testing.T) {
	reloadEvery, changeEvery := 10*time.Second, 3*time.Second
	if *soakTime < time.Minute {
		reloadEvery, changeEvery = time.Second, 400*time.Millisecond
	}
	home := t.TempDir()
	// What comes within a release is found by the next reload.
	site, err := newChangingSite(filepath.Join(home, "site"), reloadEvery+patience/2)
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf(soakSettings, startFarm(t, "testdata/farm.list"),
		soakHeadTime, soakIdleTime, soakStallTime, soakConnections, soakPerAddress)
	file := write(t, home, "ramjet.json", settings)
	s := &soak{
		hooked: &hooked{start(t, "-config", file), adminClient(t, filepath.Join(home, "a.sock"))},
		site:   site, counts: map[string]*atomic.Int64{},
	}
	before := s.start()
	s.ctx, s.cancel = context.WithTimeout(t.Context(), *soakTime)
	defer s.cancel()
	clients := s.startClients()
	s.watch(reloadEvery, changeEvery)
	clients.Wait()
	s.lastEdition()
	s.eventually("connections", none)
	s.back(before)
	s.noComplaints()
	s.rotated(filepath.Join(home, "log"))
}

// startClients starts clients of each kind.
func (s *soak) startClients() *sync.WaitGroup {
	var group sync.WaitGroup
	group.Go(s.stoodStill)
	for _, kind := range soakClients {
		count := &atomic.Int64{}
		s.counts[kind.name] = count
		for range kind.clients {
			group.Go(func() {
				for s.ctx.Err() == nil {
					n, err := kind.session(s)
					count.Add(int64(n))
					if err != nil {
						s.fail(fmt.Errorf("%s: %w", kind.name, err))
					}
					s.pause(kind.pause)
				}
			})
		}
	}
	return &group
}

// fail tells of a failure, and ends the soak after too many.
func (s *soak) fail(err error) {
	switch n := s.failures.Add(1); {
	case n <= enoughFailures:
		s.t.Error(err)
	default:
		s.cancel()
	}
}

// watch changes the site, reloads, and measures until the time is over.
func (s *soak) watch(reloadEvery, changeEvery time.Duration) {
	report := newSoakReport(s)
	reload, change := time.NewTicker(reloadEvery), time.NewTicker(changeEvery)
	defer reload.Stop()
	defer change.Stop()
	for {
		select {
		case <-s.ctx.Done():
			report.end()
			return
		case <-change.C:
			if err := s.site.change(); err != nil {
				s.t.Error(err)
			}
		case <-reload.C:
			s.reload()
		case <-report.tick.C:
			report.measure()
		}
	}
}

// reload reloads the program by a signal and waits until it has done so.
func (s *soak) reload() {
	s.t.Helper()
	s.reloads++
	s.signal(syscall.SIGHUP)
	for deadline := time.Now().Add(patience); ; {
		lines, more := s.lines()
		done := 0
		for _, line := range lines {
			if strings.Contains(line, `msg="reloaded `) {
				done++
			}
		}
		if done >= s.reloads {
			return
		}
		select {
		case <-more:
		case <-time.After(time.Until(deadline)):
			s.fail(fmt.Errorf("reload %d is not done within %v", s.reloads, patience))
			return
		}
	}
}

// lastEdition wants what came last to be what is served after a reload.
func (s *soak) lastEdition() {
	s.t.Helper()
	if err := s.site.replace(); err != nil {
		s.t.Error(err)
	}
	s.reload()
	for path := range changingFiles {
		a, err := s.get(path)
		if err != nil {
			s.t.Error(err)
			continue
		}
		if got, err := editionNumber(a.body); err != nil || got != s.site.last(path) {
			s.t.Errorf("%s: in the end edition %d is served, edition %d is on disk; %v", path, got, s.site.last(path), err)
		}
	}
}

// noComplaints wants no error in the log of the program, but that a file was
// replaced just while it was read. That a race or a panic is not in it is seen to
// when it ends.
func (s *soak) noComplaints() {
	s.t.Helper()
	lines, _ := s.lines()
	for _, line := range lines {
		if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "the file is being written") {
			s.t.Errorf("in the log of the program: %s", line)
		}
	}
}

// rotated wants an access log within its bounds.
func (s *soak) rotated(dir string) {
	s.t.Helper()
	if n := folderSize(s.t, dir); n == 0 || n > 4<<20 {
		s.t.Errorf("%d bytes of access log", n)
	}
}

// pause waits about that long, or until the time is over.
func (s *soak) pause(d time.Duration) {
	select {
	case <-time.After(about(d)):
	case <-s.ctx.Done():
	}
}

// connect opens a connection from an address of loopback.
func (s *soak) connect(from string) (*client, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := dialer.Dial("tcp", s.listen)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	return &client{tcp, newReader(tcp)}, tcp.SetDeadline(time.Now().Add(patience))
}

// errLeftover is for bytes, or another error, where the end should be.
var errLeftover = errors.New("the connection does not end well")
