package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"ramjet/accelerator/backend"
)

// counted is answering, with a count of the requests, each read to the end of its body.
func counted(t *testing.T, s string, n *atomic.Int64) string {
	return rawBackend(t, func(w *wire) {
		r, err := http.ReadRequest(w.r)
		if err != nil {
			return
		}
		n.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.send(s)
	})
}

// A request that a backend failed before its answer began goes to another, if it
// may be repeated.
func TestResend(t *testing.T) {
	t.Parallel()
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
	for _, c := range []struct {
		name, request, bad string
		status             string
		bads, goods        int64
		events             []Event
		change             func(*Proxy)
	}{
		{name: "GET, closed", request: "GET / HTTP/1.1\r\nHost: a\r\n", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "HEAD, closed", request: "HEAD / HTTP/1.1\r\nHost: a\r\n", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "DELETE, closed", request: "DELETE / HTTP/1.1\r\nHost: a\r\n", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "GET, half a head", request: "GET / HTTP/1.1\r\nHost: a\r\n", bad: "HTTP/1.1 200 OK\r\nConte", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "GET, not HTTP", request: "GET / HTTP/1.1\r\nHost: a\r\n", bad: "SSH-2.0-x\r\n", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "POST", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n", status: "502", bads: 1, events: []Event{BadAnswer}},
		{name: "GET with a body", request: "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "PUT with a body", request: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 16384\r\n", status: "200", bads: 1, goods: 1, events: []Event{OK, Resent}},
		{name: "PUT with a large body", request: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n", status: "502", bads: 1, events: []Event{BadAnswer}},
		{name: "POST with a body", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n", status: "502", bads: 1, events: []Event{BadAnswer}},
		{name: "an unknown method", request: "FROB / HTTP/1.1\r\nHost: a\r\n", status: "502", bads: 1, events: []Event{BadAnswer}},
		{name: "off", request: "GET / HTTP/1.1\r\nHost: a\r\n", status: "502", bads: 1, events: []Event{BadAnswer}, change: func(p *Proxy) { p.Retries = 0 }},
		{name: "no budget", request: "GET / HTTP/1.1\r\nHost: a\r\n", status: "502", bads: 1, events: []Event{BadAnswer, RetryDenied},
			change: func(p *Proxy) {
				for p.Pool.Retry() {
				}
			}},
		{name: "the answer broke off", request: "GET / HTTP/1.1\r\nHost: a\r\n", bad: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", status: "", bads: 1, events: []Event{BackendAborted}},
	} {
		var bads, goods atomic.Int64
		f := startFront(t, &Proxy{Retries: 2}, counted(t, c.bad, &bads), counted(t, good, &goods))
		f.Pool = remade(t, f.Pool, backend.Settings{Balance: backend.RoundRobin, RetryShare: 20})
		if c.change != nil {
			c.change(f.Proxy)
		}
		body := ""
		if _, length, ok := strings.Cut(strings.TrimSpace(c.request), "Content-Length: "); ok {
			n, err := strconv.Atoi(length)
			if err != nil {
				t.Fatal(err)
			}
			body = strings.Repeat("x", n)
		}
		got, _ := roundTrip(t, f.addr, c.request+"Connection: close\r\n\r\n"+body)
		if want := "HTTP/1.1 " + c.status; c.status == "" && got != "" || c.status != "" && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", c.name, got)
		}
		if bads.Load() != c.bads || goods.Load() != c.goods {
			t.Errorf("%s: the bad one got it %d times, the good one %d times", c.name, bads.Load(), goods.Load())
		}
		f.counts(t, c.events...)
	}
}

// No answer in time is a failure too, and repetitions end.
func TestResendBounds(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	silent := rawBackend(t, func(w *wire) {
		w.head()
		<-hold
	})
	good := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	f := startFront(t, &Proxy{Retries: 2, FirstByteTimeout: 2 * short}, silent, good)
	f.Pool = remade(t, f.Pool, backend.Settings{Balance: backend.RoundRobin, RetryShare: 20})
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("%q", got)
	}
	f.counts(t, OK, Resent)

	var asked atomic.Int64
	var all []string
	for range 5 {
		all = append(all, counted(t, "", &asked))
	}
	f = startFront(t, &Proxy{Retries: 2}, all...)
	f.Pool = remade(t, f.Pool, backend.Settings{Balance: backend.RoundRobin, RetryShare: 20})
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 502") || asked.Load() != 3 {
		t.Errorf("asked %d: %q", asked.Load(), got)
	}
	f.counts(t, BadAnswer, Resent, Resent)
	for _, b := range f.Pool.Backends()[:3] {
		if n := b.Failures.Load(); n != 1 {
			t.Errorf("%s has %d failures, want 1", b.URL, n)
		}
	}
}
