package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A backend that speaks before it has the whole request, for relay_early_test.go.

// earlyBackend is a server that does with each request what the test has said is to be
// done with those for its path; the body is still to be read then. What is asked for
// below /well/ it answers well, with the target and the number of the connection.
type earlyBackend struct {
	t           *testing.T
	address     string
	connections atomic.Int32

	mu   sync.Mutex
	acts map[string]func(*earlyConn) (open bool) // guarded by mu: by path
}

// earlyConn is a connection to it, and the request that it is at.
type earlyConn struct {
	*net.TCPConn
	b      *earlyBackend
	in     *bufio.Reader
	number int32
	asked  int // requests so far, this one included

	method, target string
	fields         textproto.MIMEHeader
	left           int64 // of the body, that was not read
}

func startEarlyBackend(t *testing.T) *earlyBackend {
	t.Helper()
	b := &earlyBackend{t: t, acts: map[string]func(*earlyConn) bool{}}
	b.address = rawBackend(t, func(tcp *net.TCPConn, in *bufio.Reader) {
		c := &earlyConn{TCPConn: tcp, b: b, in: in, number: b.connections.Add(1)}
		for c.request() && b.act(c) {
			if c.left > 0 {
				t.Errorf("%s: the test serves on with %d bytes of the body unread", c.target, c.left)
				return
			}
		}
	})
	return b
}

// on says what is to be done with the requests for a path, until it is said anew.
func (b *earlyBackend) on(path string, act func(*earlyConn) (open bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acts[path] = act
}

func (b *earlyBackend) act(c *earlyConn) (open bool) {
	if strings.HasPrefix(c.target, "/well/") {
		return c.body() && c.send(ok(c.well()))
	}
	b.mu.Lock()
	acts := maps.Clone(b.acts)
	b.mu.Unlock()
	act := acts[c.target]
	if act == nil {
		b.t.Errorf("the backend is asked for %s %q: that is no request of a client", c.method, c.target)
		return false
	}
	return act(c)
}

// well is the answer to a request that nothing is wrong with.
func (c *earlyConn) well() string { return fmt.Sprintf("%s %s %d", c.method, c.target, c.number) }

// ok is a whole answer.
func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// request reads the head of a request.
func (c *earlyConn) request() bool {
	line, err := readLine(c.in)
	if err != nil {
		return false
	}
	if c.fields, err = textproto.NewReader(c.in).ReadMIMEHeader(); err != nil {
		return false
	}
	c.asked++
	var rest string
	c.method, rest, _ = strings.Cut(line, " ")
	c.target, _, _ = strings.Cut(rest, " ")
	c.left, _ = strconv.ParseInt(c.fields.Get("Content-Length"), 10, 64)
	return true
}

// send sends a text, and reports whether it was taken.
func (c *earlyConn) send(text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// read reads n bytes of the body.
func (c *earlyConn) read(n int64) bool {
	got, err := io.CopyN(io.Discard, c.in, n)
	c.left -= got
	return err == nil
}

// body reads the rest of it.
func (c *earlyConn) body() bool { return c.read(c.left) }

// readsOn reads what comes of the body until the other side closes, as it must. What is
// not of the body would be taken for a request.
func (c *earlyConn) readsOn() bool {
	n, err := io.Copy(io.Discard, c.in)
	switch {
	case n > c.left:
		c.b.t.Errorf("%s: %d bytes came for the %d that were left of the body", c.target, n, c.left)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.b.t.Errorf("%s: the connection stays open, with %d of %d bytes of the body", c.target, n, c.left)
	}
	return false
}

// closes closes, whatever there is that it has not read: with a reset then.
func (c *earlyConn) closes() bool { return false }

// resets closes with a reset, when the other side's kernel has got all.
func (c *earlyConn) resets() bool {
	waitTaken(c.b.t, c.TCPConn)
	_ = c.SetLinger(0)
	return false
}

// waitTaken waits until the kernel of the other side has all that was sent.
func waitTaken(t *testing.T, c *net.TCPConn) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		switch n, err := unsent(c); {
		case err != nil:
			t.Error(err)
			return
		case n == 0:
			return
		}
	}
	t.Error("what was sent is not taken")
}

// unsent is how many bytes the kernel of the other side does not have yet.
func unsent(c *net.TCPConn) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	problem := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n, errors.Join(problem, err)
}

// earlyFarm is the program in front of such backends, in one tier.
type earlyFarm struct {
	*hooked
	backends []*earlyBackend
	next     int // number of the next request that nothing is wrong with
}

// startEarly starts it with a number of backends. The times of the settings are for those
// cases that are about them.
func startEarly(t *testing.T, setting string, backends int, more string) *earlyFarm {
	t.Helper()
	f := &earlyFarm{}
	urls := []string{}
	for range backends {
		b := startEarlyBackend(t)
		f.backends = append(f.backends, b)
		urls = append(urls, fmt.Sprintf(`{"url": "http://%s"}`, b.address))
	}
	f.hooked = startHooked(t, siteOf(t, "home"), setting+fmt.Sprintf(`"backends": [%s], "health": {"check": "off"}, "ejection": {"failures": 1000}%s`,
		strings.Join(urls, ", "), more))
	return f
}

// well wants its own answer to the next request, and returns the number of the backend's
// connection.
func (f *earlyFarm) well(t *testing.T, c *client) (number int32) {
	t.Helper()
	f.next++
	path := fmt.Sprintf("/well/%d", f.next)
	c.ask(path)
	a, err := readAnswer(c.in, "GET")
	if err != nil {
		t.Fatalf("the next request: %v", err)
	}
	if _, err := fmt.Sscanf(string(a.body), "GET "+path+" %d", &number); a.status != 200 || err != nil {
		t.Fatalf("the next request got what is not its own: %v", a)
	}
	return number
}

// others wants three requests of others to be answered, and none of them on a connection
// whose state is not known.
func (f *earlyFarm) others(t *testing.T, spoilt int32) {
	t.Helper()
	for range 3 {
		if n := f.well(t, f.dial()); n == spoilt {
			t.Errorf("the connection to the backend is used again")
		}
	}
}

// events are how often which was counted.
func (f *earlyFarm) events(t *testing.T) map[string]int {
	return (&badRunner{t: t, ask: f.ask}).counts(t).events
}

// happened waits for an event to have been counted once more, or n times more, than before.
func (f *earlyFarm) happened(t *testing.T, before map[string]int, event string, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience / 4); ; time.Sleep(5 * time.Millisecond) {
		now := f.events(t)
		if now[event] == before[event]+n && f.metric("backend_in_flight") == 0 && f.metric("forward_in_flight") == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s was expected; before: %v, now: %v", event, before, now)
			return
		}
	}
}

// whileStopped has the program stopped while do runs: whatever happens meanwhile has happened at
// once for it.
func (p *process) whileStopped(do func()) {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	defer p.signal(syscall.SIGCONT)
	for deadline := time.Now().Add(patience); !p.allStopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("the program does not stop")
		}
	}
	do()
}

// allStopped tells whether each of its threads is: they stop one by one.
func (p *process) allStopped() bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if _, state, _ := strings.Cut(string(text), ") "); err == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(tasks) > 0
}
