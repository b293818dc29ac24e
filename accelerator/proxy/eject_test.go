package proxy

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/accelerator/backend"
)

// What counts as a failure of the backend: so many in a row, and it is left out.
func TestEjection(t *testing.T) {
	t.Parallel()
	good := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	for _, c := range []struct {
		name, bad string
		ejected   bool
	}{
		{"500", answering(t, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), true},
		{"503", answering(t, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), true},
		{"501 is about the request", answering(t, "HTTP/1.1 501 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), false},
		{"404", answering(t, "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), false},
		{"nobody listens", deadPort(t), true},
		{"no answer", answering(t, ""), true},
		{"not HTTP", answering(t, "SSH-2.0-OpenSSH_9.2\r\n"), true},
		{"breaks off", answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\nhi"), true},
	} {
		f := startFront(t, &Proxy{}, c.bad, good)
		f.Pool = remade(t, f.Pool, backend.Settings{Balance: backend.RoundRobin, Ejection: backend.Ejection{Failures: 3, Time: time.Hour, Most: 50}})
		bad := f.Pool.Backends()[0]
		for range 20 {
			_, _ = roundTrip(t, f.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		}
		eventually(t, "the last one ended", func() bool { return f.Counters.InFlight() == 0 })
		_, ejected := bad.Ejected(time.Now())
		if ejected != c.ejected {
			t.Errorf("%s: ejected: %v", c.name, ejected)
		}
		if got := bad.Requests.Load(); c.ejected && got != 3 || !c.ejected && got != 10 {
			t.Errorf("%s: it got %d of 20 requests", c.name, got)
		}
	}
}

// A good answer between two bad ones makes them two accidents.
func TestNoEjectionForAccidents(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	sometimes := rawBackend(t, func(w *wire) {
		w.head()
		status := "500 Oops"
		if n.Add(1)%3 == 0 {
			status = "200 OK"
		}
		w.send("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	f := startFront(t, &Proxy{}, sometimes, sometimes[:strings.LastIndex(sometimes, ":")]+":1")
	f.Pool = remade(t, f.Pool, backend.Settings{Balance: backend.RoundRobin, Ejection: backend.Ejection{Failures: 3, Time: time.Hour, Most: 50}})
	f.Pool.Backends()[1].SetHealth(backend.Down, time.Now())
	for range 30 {
		_ = get(t, f.addr, "/")
	}
	if n := f.Pool.Backends()[0].Ejections.Load(); n != 0 {
		t.Errorf("ejected %d times", n)
	}
}
