package proxy

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const small = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

// dying is a backend that answers each connection's first request, and closes it
// at the second, having read it, with part of an answer or none.
func dying(t *testing.T, seconds *atomic.Int64, part string) string {
	return rawBackend(t, func(w *wire) {
		if w.head() == "" {
			return
		}
		w.send(small)
		if w.head() != "" {
			seconds.Add(1)
			_, _ = io.WriteString(w, part)
		}
	})
}

// TestRetry sends a second request on a connection that then dies.
func TestRetry(t *testing.T) {
	for _, c := range []struct {
		request, part, status string
		events                []Event
	}{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", "502", []Event{BadAnswer}},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "", "502", []Event{BadAnswer}},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n", "", "502", []Event{BadAnswer}},
		{"PATCH / HTTP/1.1\r\nHost: a\r\nX-Idempotency-Key: k\r\n\r\n", "", "502", []Event{BadAnswer}},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "", "200", []Event{OK, Retried}},
		{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "", "200", []Event{OK, Retried}},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "H", "502", []Event{BadAnswer}},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "200", []Event{OK, Retried}},
		{"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "", "200", []Event{OK, Retried}},
		{"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", "", "200", []Event{OK, Retried}},
		{"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "", "200", []Event{OK, Retried}},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", "200", []Event{OK, Retried}},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n", "", "200", []Event{OK, Retried}},
	} {
		var seconds atomic.Int64
		f := startFront(t, &Proxy{KeepAlive: patience}, dying(t, &seconds, c.part))
		if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("the first: %q", got)
		}
		w := dial(t, f.addr)
		w.send(c.request)
		if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 "+c.status) {
			t.Errorf("%q, %q: %q", c.request, c.part, head)
		}
		if n := seconds.Load(); n != 1 {
			t.Errorf("%q: sent %d times on a kept-alive connection", c.request, n)
		}
		f.counts(t, append(c.events, OK)...)
	}
}

// TestRetryOnce keeps several connections that all die at the next request: it
// is sent on one of them, and then on a new one.
func TestRetryOnce(t *testing.T) {
	const idle = 5
	var seconds atomic.Int64
	var ready sync.WaitGroup
	ready.Add(idle)
	b := rawBackend(t, func(w *wire) {
		head := w.head()
		if strings.HasPrefix(head, "GET /first ") {
			ready.Done()
			ready.Wait() // so that each has a connection of its own
		}
		if head == "" {
			return
		}
		w.send(small)
		if w.head() != "" {
			seconds.Add(1)
		}
	})
	f := startFront(t, &Proxy{KeepAlive: patience}, b)
	var clients sync.WaitGroup
	for range idle {
		clients.Go(func() { get(t, f.addr, "/first") })
	}
	clients.Wait()
	if got := get(t, f.addr, "/second"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
	}
	if n := seconds.Load(); n != 1 {
		t.Errorf("sent %d times on kept-alive connections", n)
	}
	f.counts(t, OK, OK, OK, OK, OK, OK, Retried)
}

// TestKeptAlive checks that connections to backends are used again, and that all
// backends get their share.
func TestKeptAlive(t *testing.T) {
	var connections atomic.Int64
	serve := func(w *wire) {
		connections.Add(1)
		for w.head() != "" {
			w.send(small)
		}
	}
	f := startFront(t, &Proxy{KeepAlive: patience}, rawBackend(t, serve), rawBackend(t, serve))
	w := dial(t, f.addr)
	for range 20 {
		w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		w.head()
		w.take(2)
	}
	for _, b := range f.Pool.Backends() {
		if n := b.Requests.Load(); n != 10 {
			t.Errorf("%s got %d requests", b.URL, n)
		}
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections for 2 backends", n)
	}
}

// BenchmarkForward is a GET with an answer of 100 bytes, over loopback, client
// and backend included.
func BenchmarkForward(b *testing.B) {
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n%0100d", 0)
	backend := rawBackend(b, func(w *wire) {
		for w.head() != "" {
			w.send(answer)
		}
	})
	f := startFront(b, &Proxy{}, backend)
	for _, c := range []struct{ name, addr string }{{"direct", backend}, {"forwarded", f.addr}} {
		b.Run(c.name, func(b *testing.B) {
			w := dial(b, c.addr)
			b.ReportAllocs()
			for b.Loop() {
				w.send("GET / HTTP/1.1\r\nHost: site\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
				w.head()
				w.take(100)
			}
		})
	}
}

// TestRetryMeetsNobody has a backend die with its last connection: what would be
// sent again meets nobody, and is as good as not sent. Another backend gets it.
func TestRetryMeetsNobody(t *testing.T) {
	start := func(p *Proxy, others ...string) *front {
		l := listen(t)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			w := newWire(t, c)
			w.head()
			w.send(small)
			w.head()
			_ = l.Close()
		}()
		return startFront(t, p, append([]string{l.Addr().String()}, others...)...)
	}
	f := start(&Proxy{KeepAlive: patience, Retries: 1})
	get(t, f.addr, "/")
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("%q", got)
	}
	f.counts(t, OK, NoConnection)
	f = start(&Proxy{KeepAlive: patience}, rawBackend(t, func(w *wire) {
		for w.head() != "" {
			w.send(small)
		}
	}))
	for range 3 { // In turn.
		if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
	}
	f.counts(t, OK, OK, OK, FailedOver)
}
