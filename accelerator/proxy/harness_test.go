package proxy

import (
	"bufio"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/backend"
)

// patience is how long a test waits for what has to happen; short is a limit
// under test.
const (
	patience = 20 * time.Second
	short    = 150 * time.Millisecond
)

// front is a server with a Proxy, as in the field.
type front struct {
	*Proxy
	addr string
}

// newPool returns a pool whose backends are taken in turn.
func newPool(urls ...*url.URL) (*backend.Pool, error) {
	s := backend.Settings{Balance: backend.RoundRobin}
	for _, u := range urls {
		s.Servers = append(s.Servers, backend.Server{URL: u})
	}
	return backend.NewPool(s)
}

// remade is a pool of the same backends with other settings.
func remade(t testing.TB, p *backend.Pool, s backend.Settings) *backend.Pool {
	t.Helper()
	for _, b := range p.Backends() {
		s.Servers = append(s.Servers, backend.Server{URL: b.URL})
	}
	pool, err := backend.NewPool(s)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// startFront starts a server that forwards to the backends. Whatever net/http
// finds worth logging, as a panic, fails the test.
func startFront(t testing.TB, p *Proxy, backends ...string) *front {
	t.Helper()
	var us []*url.URL
	for _, b := range backends {
		us = append(us, &url.URL{Scheme: "http", Host: strings.TrimPrefix(b, "http://")})
	}
	pool, err := newPool(us...)
	if err != nil {
		t.Fatal(err)
	}
	p.Pool = pool
	p.Counters = &Counters{}
	p.Log = slog.New(slog.DiscardHandler)
	return &front{p, startServer(t, p)}
}

// startServer serves h on a port of its own.
func startServer(t testing.TB, h http.Handler) string {
	t.Helper()
	return serveOn(t, listen(t), h)
}

func serveOn(t testing.TB, l net.Listener, h http.Handler) string {
	t.Helper()
	s := &http.Server{Handler: h, DisableGeneralOptionsHandler: true, ErrorLog: log.New(complaints{t}, "", 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		_ = s.Close()
		<-done
		if p, ok := h.(*Proxy); ok {
			p.Close()
		}
	})
	return l.Addr().String()
}

type complaints struct{ t testing.TB }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("the server complains: %s", p)
	return len(p), nil
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	return listenAt(t, net.IPv4(127, 0, 0, 1))
}

func listenAt(t testing.TB, ip net.IP) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// deadPort is an address that refuses connections, on an interface address of
// its own, so that no other test is given the port.
func deadPort(t testing.TB) string {
	t.Helper()
	l := listenAt(t, net.IPv4(127, 0, 0, 2))
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// wire is a connection on which a test reads and writes what it likes.
type wire struct {
	*net.TCPConn
	r *bufio.Reader
	t testing.TB
}

func newWire(t testing.TB, c net.Conn) *wire {
	_ = c.SetDeadline(time.Now().Add(patience))
	return &wire{c.(*net.TCPConn), bufio.NewReader(c), t}
}

// dial connects to a server under test.
func dial(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newWire(t, c)
}

func (w *wire) send(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		w.t.Errorf("send: %v", err)
	}
}

// head reads up to and including the next empty line; at the end of the
// connection, what there is.
func (w *wire) head() string {
	var b strings.Builder
	for {
		line, err := w.r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// take reads n bytes.
func (w *wire) take(n int) string {
	w.t.Helper()
	b := make([]byte, n)
	m, err := io.ReadFull(w.r, b)
	if err != nil {
		w.t.Errorf("after %q: %v", b[:m], err)
	}
	return string(b[:m])
}

// rest reads to the end of the connection.
func (w *wire) rest() (string, error) {
	b, err := io.ReadAll(w.r)
	return string(b), err
}

// reset closes with a RST, as a process that is killed with unread input does.
func (w *wire) reset() {
	_ = w.SetLinger(0)
	_ = w.Close()
}

// rawBackend is a server that behaves as badly as it likes: serve is run for
// each connection, which is closed when it returns.
func rawBackend(t testing.TB, serve func(*wire)) string {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(newWire(t, c))
			}()
		}
	}()
	return l.Addr().String()
}

// answering is a raw backend that reads a head, sends s and closes.
func answering(t testing.TB, s string) string {
	return rawBackend(t, func(w *wire) {
		if w.head() != "" {
			_, _ = io.WriteString(w, s)
		}
	})
}

// handling is a backend of net/http.
func handling(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// roundTrip sends one request on a connection of its own and reads the answer to
// the end of the connection.
func roundTrip(t testing.TB, addr, request string) (string, error) {
	t.Helper()
	w := dial(t, addr)
	w.send(request)
	return w.rest()
}

// get is roundTrip for a GET with the connection closed behind it.
func get(t testing.TB, addr, target string) string {
	t.Helper()
	s, err := roundTrip(t, addr, "GET "+target+" HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Errorf("GET %s: %v after %q", target, err, s)
	}
	return s
}

// eventually waits for what happens a moment after an answer.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Errorf("not seen: %s", what)
}

// counts waits for the events to have happened once each and no other outcome,
// and for nothing to be in flight.
func (f *front) counts(t testing.TB, want ...Event) {
	t.Helper()
	eventually(t, "nothing in flight", func() bool {
		n := f.Counters.InFlight() + f.Counters.Tunnels()
		for _, b := range f.Pool.Backends() {
			n += b.InFlight.Load()
		}
		return n == 0
	})
	left := map[Event]uint64{}
	for _, e := range want {
		left[e]++
	}
	for e := range NumEvents {
		if got := f.Counters.Count(e); got != left[e] {
			t.Errorf("event %v: counted %d, want %d", e, got, left[e])
		}
	}
}
