package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTotalTimeout has the exchanges that take too long as a whole, though no part
// of them does, and those that may.
func TestTotalTimeout(t *testing.T) {
	t.Parallel()
	drip := func(w *wire, piece string, n int) {
		for range n {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
			time.Sleep(short / 10)
		}
	}
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	for _, c := range []struct {
		name, request string
		serve         func(*wire)
		status        string // "": an answer that breaks off
		event         Event
		failures      uint64
	}{
		{"no head", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			func(w *wire) { w.head(); _, _ = w.rest() }, "504", TotalTimeout, 1},
		{"a head that drips", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			func(w *wire) { w.head(); w.send("HTTP/1.1 200 OK\r\n"); drip(w, "X: y\r\n", 100) }, "504", TotalTimeout, 1},
		{"a client that drips", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12",
			func(w *wire) { _, _ = w.rest() }, "504", TotalTimeout, 0},
		{"a body that drips", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			func(w *wire) { w.head(); w.send(chunked + "\r\n"); drip(w, "1\r\nx\r\n", 100) }, "", TotalTimeout, 0},
		{"in time", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			func(w *wire) { w.head(); w.send(chunked + "\r\n"); drip(w, "1\r\nx\r\n", 2); w.send("0\r\n\r\n") }, "200", OK, 0},
		{"events", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			func(w *wire) {
				w.head()
				w.send(chunked + "Content-Type: text/event-stream; charset=utf-8\r\n\r\n")
				drip(w, "1\r\n\n\r\n", 40)
				w.send("0\r\n\r\n")
			}, "200", OK, 0},
		{"a tunnel", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
			func(w *wire) {
				w.head()
				w.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				drip(w, "x", 40)
				_, _ = w.rest()
			}, "101", OK, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := startFront(t, &Proxy{TotalTimeout: 2 * short, Retries: 2}, rawBackend(t, c.serve))
			w := dial(t, f.addr)
			began := time.Now()
			w.send(c.request)
			if c.status == "101" {
				w.head()
				if got := w.take(40); strings.Trim(got, "x") != "" {
					t.Errorf("the tunnel was cut: %q", got)
				}
				_ = w.Close()
				f.counts(t, c.event)
				return
			}
			got, err := w.rest()
			switch {
			case c.status == "" && whole(got, "HTTP/1.1", err):
				t.Errorf("taken for whole: %q", got)
			case c.status != "" && !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" "):
				t.Errorf("%q", got)
			case c.status == "200" && !strings.HasSuffix(got, "0\r\n\r\n"):
				t.Errorf("the answer was cut: %q", got)
			}
			if took := time.Since(began); c.event == TotalTimeout && took < 2*short {
				t.Errorf("it took no more than %v", took)
			}
			f.counts(t, c.event)
			if n := f.Pool.Backends()[0].Failures.Load(); n != c.failures {
				t.Errorf("%d failures of the backend, want %d", n, c.failures)
			}
		})
	}
}

// TestTotalTimeoutClientDoesNotRead has a client that takes nothing of its answer:
// the end is that of the whole time, not of a write.
func TestTotalTimeoutClientDoesNotRead(t *testing.T) {
	t.Parallel()
	b := handling(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 1e9))
	})
	f := startFront(t, &Proxy{TotalTimeout: 2 * short}, b)
	w := dial(t, f.addr)
	w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the end of the time", func() bool { return f.Counters.Count(TotalTimeout) == 1 })
	f.counts(t, TotalTimeout)
	if got, err := w.rest(); whole(got, "HTTP/1.1", err) {
		t.Errorf("taken for whole: %d bytes", len(got))
	}
}
