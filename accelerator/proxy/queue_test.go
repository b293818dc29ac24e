package proxy

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/accelerator/backend"
)

// One request at a time: the second waits, the third is one too many.
func TestQueue(t *testing.T) {
	t.Parallel()
	serve := make(chan struct{})
	b := rawBackend(t, func(w *wire) {
		if w.head() != "" {
			<-serve
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
		}
	})
	f := startFront(t, &Proxy{}, b)
	f.Pool = remade(t, f.Pool, backend.Settings{Limits: backend.Limits{InFlight: 1, Queue: 1, QueueTime: patience}})
	answers := make(chan string, 2)
	ask := func() {
		got, _ := roundTrip(t, f.addr, "GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
		answers <- got
	}
	go ask()
	eventually(t, "one is served", func() bool { return f.Pool.Backends()[0].InFlight.Load() == 1 })
	go ask()
	eventually(t, "one waits", func() bool { return f.Pool.Waiting() == 1 })
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: 1\r\n") {
		t.Errorf("one too many: %q", got)
	}
	// A client that leaves leaves the line.
	if f.Pool.Waiting() != 1 {
		t.Errorf("%d wait", f.Pool.Waiting())
	}
	close(serve)
	for range 2 {
		if got := <-answers; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
	}
	f.counts(t, OK, OK, QueueFull)
	if n := f.Pool.Backends()[0].InFlight.Load(); n != 0 {
		t.Errorf("%d in flight in the end", n)
	}
}

func TestQueueTimeAndLeaving(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	b := rawBackend(t, func(w *wire) {
		w.head()
		<-hold
	})
	f := startFront(t, &Proxy{}, b)
	f.Pool = remade(t, f.Pool, backend.Settings{Limits: backend.Limits{InFlight: 1, Queue: 9, QueueTime: short}})
	first := dial(t, f.addr)
	first.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n")
	eventually(t, "one is served", func() bool { return f.Pool.Backends()[0].InFlight.Load() == 1 })
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: 1\r\n") {
		t.Errorf("%q", got)
	}
	first.reset()
	eventually(t, "the first is gone", func() bool { return f.Counters.InFlight() == 0 })
	f.counts(t, QueueTimeout, ClientAborted)
}

// With Hold, the restart of the only backend is a pause.
func TestHold(t *testing.T) {
	t.Parallel()
	addr := deadPort(t)
	f := startFront(t, &Proxy{Hold: patience}, addr)
	answer := make(chan string)
	go func() {
		got, _ := roundTrip(t, f.addr, "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")
		answer <- got
	}()
	eventually(t, "it is held", func() bool { return f.Counters.Count(Held) == 1 })
	time.Sleep(short) // It tries again, and fails again.
	back, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	go func() {
		c, err := back.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		w := newWire(t, c)
		w.head()
		if got := w.take(2); got != "ab" {
			t.Errorf("the body is %q", got)
		}
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	}()
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
	}
	f.counts(t, OK, Held)
	// As many as a backend may have at a time are held, and one more: a place is not kept by who waits for a connection.
	addr = deadPort(t)
	f = startFront(t, &Proxy{Hold: patience}, addr)
	f.Pool = remade(t, f.Pool, backend.Settings{Limits: backend.Limits{InFlight: 1, Queue: 1, QueueTime: patience}})
	var held sync.WaitGroup
	for range 2 {
		held.Go(func() {
			if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
				t.Errorf("%q", got)
			}
		})
	}
	eventually(t, "both are held", func() bool { return f.Counters.Count(Held) == 2 })
	if back, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	serveOn(t, back, http.NotFoundHandler())
	held.Wait()
	f.counts(t, OK, OK, Held, Held)

	f = startFront(t, &Proxy{Hold: 2 * short}, deadPort(t))
	started := time.Now()
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 502 ") || time.Since(started) < 2*short {
		t.Errorf("after %v: %q", time.Since(started), got)
	}
	f.counts(t, NoConnection, Held)
}
