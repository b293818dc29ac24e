package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// heldServer answers with its name; what is asked for at /held it answers when it is told to.
type heldServer struct {
	*httptest.Server
	came   chan struct{} // each such request
	answer chan struct{} // lets go of one
}

func startHeld(t *testing.T, name string) *heldServer {
	s := &heldServer{came: make(chan struct{}, 100), answer: make(chan struct{}, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			s.came <- struct{}{}
			select {
			case <-s.answer:
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, name)
	}))
	t.Cleanup(s.Close)
	return s
}

// arrived waits for a request that is held.
func (s *heldServer) arrived(t *testing.T) {
	t.Helper()
	select {
	case <-s.came:
	case <-time.After(patience):
		t.Fatal("the request does not come")
	}
}

// A backend with room for one request gets one; the next waits, and the one behind it does not.
func TestBackendLimits(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			server := startHeld(t, "well")
			limited := func(queueTime string) *hooked {
				return startHooked(t, t.TempDir(), setting+fmt.Sprintf(
					`"health": {"check": "off"}, "forward": {"in_flight": 1, "queue": 1, "queue_time": %q}, "backends": [{"url": %q}]`, queueTime, server.URL))
			}
			refused := func(c *client) {
				t.Helper()
				if a, err := readAnswer(c.in, "GET"); err != nil || a.status != http.StatusServiceUnavailable || len(a.values("Retry-After")) != 1 {
					t.Errorf("503 with Retry-After was expected: %v, %v", err, a)
				}
			}
			p := limited(patience.String())
			first, second, third := p.dial(), p.dial(), p.dial()
			first.ask("/held")
			server.arrived(t)
			second.ask("/second")
			p.eventually("forward_queue", func(n int) bool { return n == 1 })
			third.ask("/third")
			refused(third)
			server.answer <- struct{}{}
			first.want(t, 200, "well")
			second.want(t, 200, "well")
			third.ask("/third") // There is room again, on the same connection.
			third.want(t, 200, "well")
			p.eventually(`forward_events_total\{event="queue_full",pool="default"\}`, func(n int) bool { return n == 1 })
			p.eventually(`forward_events_total\{event="ok",pool="default"\}`, func(n int) bool { return n == 3 })
			p.eventually("backend_in_flight", none)
			if n := p.metric("backend_failures_total"); n != 0 {
				t.Errorf("%d failures of the backend", n)
			}
			busy := 0
			if tier == "loops" {
				busy = 2
			}
			if n := p.metric(`handoffs_total\{reason="busy"\}`); n != busy {
				t.Errorf("the loops handed off %d requests that had to wait, want %d", n, busy)
			}

			p = limited("300ms")
			first, second = p.dial(), p.dial()
			first.ask("/held")
			server.arrived(t)
			asked := time.Now()
			second.ask("/second")
			refused(second)
			if waited := time.Since(asked); waited < 150*time.Millisecond || waited > 5*time.Second {
				t.Errorf("it waited for %v", waited)
			}
			p.eventually(`forward_events_total\{event="queue_timeout",pool="default"\}`, func(n int) bool { return n == 1 })
			server.answer <- struct{}{}
			first.want(t, 200, "well")
		})
	}
}

// Whoever has the fewest requests in flight gets the next one.
func TestLeastConnections(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			a, b := startHeld(t, "a"), startHeld(t, "b")
			p := startHooked(t, t.TempDir(), setting+fmt.Sprintf(
				`"health": {"check": "off"}, "forward": {"balance": "least_connections"}, "backends": [{"url": %q}, {"url": %q}]`, a.URL, b.URL))
			for n := range 6 { // They fill both alike.
				p.dial().ask("/held")
				select {
				case <-a.came:
				case <-b.came:
				case <-time.After(patience):
					t.Fatal("the request does not come")
				}
				if each := (n + 1) / 2; n%2 == 1 {
					for _, s := range []*heldServer{a, b} {
						if got := p.metric(`backend_in_flight\{backend="` + s.URL + `",pool="default"\}`); got != each {
							t.Errorf("%d of %d requests are at one", got, n+1)
						}
					}
				}
			}
			a.answer <- struct{}{}
			p.eventually(`backend_in_flight\{backend="`+a.URL+`",pool="default"\}`, func(n int) bool { return n == 2 })
			for range 20 {
				c := p.dial()
				c.ask("/free")
				c.want(t, 200, "a")
			}
		})
	}
}

// A backend that was down comes back slowly, and says so.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.4:0") // Where nobody else is given its port.
			if err != nil {
				t.Fatal(err)
			}
			address := listener.Addr().String()
			listener.Close()
			stays := startHeld(t, "stays")
			p := startHooked(t, t.TempDir(), setting+fmt.Sprintf(
				`"health": {"interval": "100ms", "rise": 1, "fall": 1}, "forward": {"balance": "round_robin", "slow_start": "1h"}, "backends": [{"url": "http://%s"}, {"url": %q}]`, address, stays.URL))
			p.wait("backend is down")
			if listener, err = net.Listen("tcp", address); err != nil {
				t.Fatal(err)
			}
			back := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "is back") })}
			go func() { _ = back.Serve(listener) }()
			t.Cleanup(func() { back.Close() })
			p.wait("backend is up again")
			seen := map[string]int{}
			c := p.dial()
			for range 202 { // One in 101, for it has a hundredth of its weight.
				c.ask("/")
				a, err := readAnswer(c.in, "GET")
				if err != nil || a.status != 200 {
					t.Fatal(err, a)
				}
				seen[string(a.body)]++
			}
			if n := seen["is back"]; n < 1 || n > 4 {
				t.Errorf("of 202 requests: %v", seen)
			}
			if _, text := p.ask("GET", "/explain?url=/a?"); !strings.Contains(text, "http://"+address+", weight 1, of which 1% just now: gets 1% of such") {
				t.Error(text)
			}
		})
	}
}

// fullPort is an address whose connections are never accepted, and whose queue for them is full.
func fullPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return l.Addr().String()
}

// A backend that accepts no connection is waited for as long as connect_timeout says; then another one
// gets the request, even a POST, or the client is told.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			full, well := fullPort(t), startHeld(t, "well")
			run := func(backends string) *hooked {
				return startHooked(t, t.TempDir(), setting+fmt.Sprintf(
					`"health": {"check": "off"}, "forward": {"connect_timeout": %q, "balance": "round_robin"}, "backends": [{"url": "http://%s", "weight": 1000}%s]`, limit, full, backends))
			}
			post := func(p *hooked) (*answer, time.Duration) {
				t.Helper()
				c := p.dial()
				asked := time.Now()
				fmt.Fprint(c, "POST /x HTTP/1.1\r\nHost: example\r\nContent-Length: 4\r\n\r\nbody")
				a, err := readAnswer(bufio.NewReader(c), "POST")
				if err != nil {
					t.Fatal(err)
				}
				return a, time.Since(asked)
			}
			alone := run("")
			if a, took := post(alone); a.status != http.StatusGatewayTimeout || !strings.Contains(string(a.body), "504") || took < limit/2 || took > limit+2*time.Second {
				t.Errorf("after %v: %v", took, a)
			}
			alone.eventually(`forward_events_total\{event="connect_timeout",pool="default"\}`, func(n int) bool { return n == 1 })
			alone.eventually("backend_failures_total", func(n int) bool { return n == 1 })
			alone.eventually("backend_in_flight", none)

			both := run(`, {"url": "` + well.URL + `"}`)
			if a, took := post(both); a.status != 200 || string(a.body) != "well" || took < limit/2 || took > limit+2*time.Second {
				t.Errorf("after %v: %v", took, a)
			}
			both.eventually(`forward_events_total\{event="failed_over",pool="default"\}`, func(n int) bool { return n == 1 })
			both.eventually("backend_failures_total", func(n int) bool { return n == 1 })
		})
	}
}
