package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A client that takes nothing of its answer is cut when limits.stall_time has passed,
// and well before twice that: whoever answers, and whichever way the bytes go. One
// that was being forwarded is counted as a client that stalled.
func TestNeverReads(t *testing.T) {
	t.Parallel()
	const stall = 4 * time.Second
	dir, size := largeSite(t)
	farm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		}
		_, _ = io.Copy(w, io.LimitReader(endless{}, size))
	}))
	t.Cleanup(farm.Close)
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startHooked(t, dir, setting+fmt.Sprintf(`"limits": {"stall_time": "%v"}, "backends": [{"url": "%s"}]`, stall, farm.URL))
			const forwarded = 2
			t.Run("clients", func(t *testing.T) {
				for name, request := range map[string]string{
					"a file":      "GET /large.bin HTTP/1.1\r\n",
					"a part":      "GET /large.bin HTTP/1.1\r\nRange: bytes=0-\r\n",
					"with length": "GET /length HTTP/1.1\r\n",
					"in chunks":   "GET /chunks HTTP/1.1\r\n",
				} {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						c := p.dial()
						if err := c.SetReadBuffer(16 << 10); err != nil {
							t.Fatal(err)
						}
						fmt.Fprintf(c, "%sHost: example\r\n\r\n", request)
						// A moment less: the program's clock began before the last byte was seen here.
						if waited := c.waitCut(t); waited < stall-stall/8 || waited > 2*stall {
							t.Errorf("cut %v after the last byte that it took", waited)
						}
					})
				}
			})
			p.eventually(`forward_events_total\{event="client_stalled",pool="default"\}`, func(n int) bool { return n == forwarded })
			p.eventually("forward_in_flight", none)
			if n := p.metric("backend_failures_total"); n != 0 {
				t.Errorf("%d failures of the backend were counted", n)
			}
		})
	}
}

// A client that stops inside of its request's body is no failure of the backend, even if
// the request might be sent to another one: that would wait for the same body.
func TestClientStopsInItsBody(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			serve := func(c *net.TCPConn, in *bufio.Reader) {
				asked.Add(1)
				_, _ = io.Copy(io.Discard, in)
			}
			p := startHooked(t, t.TempDir(), setting+fmt.Sprintf(`"limits": {"stall_time": "1s"}, "health": {"check": "off"}, "backends": [{"url": "http://%s"}, {"url": "http://%s"}]`,
				rawBackend(t, serve), rawBackend(t, serve)))
			c := p.dial()
			fmt.Fprint(c, "PUT /x HTTP/1.1\r\nHost: example\r\nContent-Length: 10\r\n\r\nhalf ")
			status, err := bufio.NewReader(c).ReadString('\n')
			if err != nil || !strings.HasPrefix(status, "HTTP/1.1 408 ") {
				t.Errorf("%q, %v", status, err)
			}
			p.eventually(`forward_events_total\{event="client_stalled",pool="default"\}`, func(n int) bool { return n == 1 })
			if n := asked.Load(); n != 1 {
				t.Errorf("%d backends were asked", n)
			}
			if n := p.metric("backend_failures_total"); n != 0 {
				t.Errorf("%d failures of the backends were counted", n)
			}
		})
	}
}

// waitCut waits for the server to break off the connection of a client that does not
// read, and tells how long after the last byte that its kernel took.
func (c *client) waitCut(t *testing.T) time.Duration {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var taken uint64
	last := time.Now()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var info *unix.TCPInfo
		problem := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		switch {
		case problem != nil || err != nil:
			t.Fatal(problem, err)
		case info.State == unix.BPF_TCP_CLOSE:
			return time.Since(last)
		case info.Bytes_received != taken:
			taken, last = info.Bytes_received, time.Now()
		}
	}
	t.Fatal("a client that does not read is not cut off")
	return 0
}
