package proxy

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestFlushed checks that each piece of an answer arrives before the next one
// is sent: the backend waits for the client to have it.
func TestFlushed(t *testing.T) {
	for name, head := range map[string]string{
		"event stream": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n",
		"chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"until close":  "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n",
	} {
		arrived := make(chan bool)
		f := startFront(t, &Proxy{}, rawBackend(t, func(w *wire) {
			w.head()
			chunked := strings.Contains(head, "chunked")
			w.send(head)
			<-arrived // the head alone
			for range 3 {
				if chunked {
					w.send("6\r\npiece\n\r\n")
				} else {
					w.send("piece\n")
				}
				<-arrived
			}
			if chunked {
				w.send("0\r\n\r\n")
			}
		}))
		w := dial(t, f.addr)
		w.send("GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
		chunks := strings.Contains(w.head(), "chunked")
		arrived <- true
		for range 3 {
			got, want := "", "piece\n"
			if chunks {
				want = "6\r\npiece\n\r\n"
			}
			if got = w.take(len(want)); got != want {
				t.Errorf("%s: %q", name, got)
			}
			arrived <- true
		}
		if _, err := w.rest(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.counts(t, OK)
	}
}

// TestBothWays has a backend that answers each piece of the request's body
// before it gets the next.
func TestBothWays(t *testing.T) {
	f := startFront(t, &Proxy{}, rawBackend(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 3 {
			w.send(w.take(6))
		}
		w.send(w.take(5))
	}))
	w := dial(t, f.addr)
	w.send("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n")
	if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Errorf("%q", head)
	}
	for _, piece := range []string{"1\r\na\r\n", "1\r\nb\r\n", "1\r\nc\r\n", "0\r\n\r\n"} {
		w.send(piece)
		if got := w.take(len(piece)); got != piece {
			t.Errorf("%q, want %q", got, piece)
		}
	}
	f.counts(t, OK)
}

// TestEarlyAnswer has a backend that answers without reading the body. The
// client gets the answer at once, and its connection is closed: what follows on
// it is the rest of a body.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	f := startFront(t, &Proxy{IdleTimeout: 4 * short}, rawBackend(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		_, _ = w.rest()
	}))
	w := dial(t, f.addr)
	w.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 1000\r\n\r\nsome")
	head := w.head()
	if !strings.HasPrefix(head, "HTTP/1.1 403 ") || !strings.Contains(head, "\r\nConnection: close\r\n") {
		t.Errorf("%q", head)
	}
	if got := w.take(2); got != "no" {
		t.Errorf("%q", got)
	}
	start := time.Now()
	_, _ = io.WriteString(w, strings.Repeat("x", 900)+"GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n")
	if got, _ := w.rest(); got != "" {
		t.Errorf("after the answer: %q", got)
	}
	if d := time.Since(start); d > patience/2 {
		t.Errorf("the connection was open for %v", d)
	}
	f.counts(t, OK)
}

// TestClientDoesNotRead asks for more than the socket buffers hold, and reads
// nothing.
func TestClientDoesNotRead(t *testing.T) {
	t.Parallel()
	f := startFront(t, &Proxy{IdleTimeout: 2 * short}, rawBackend(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 1e9))
	}))
	w := dial(t, f.addr)
	w.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n")
	w.head()
	f.counts(t, ClientStalled)
}

// TestContinue has the ways of Expect: 100-continue.
func TestContinue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		serve  func(*wire)
		status []string // that the client gets, in order
		body   bool     // it sends it when it gets 100
	}{
		{"the backend wants it", func(w *wire) {
			w.head()
			w.send("HTTP/1.1 100 Continue\r\n\r\n")
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + w.take(4))
		}, []string{"100", "200"}, true},
		{"the backend says nothing", func(w *wire) {
			w.head()
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + w.take(4))
		}, []string{"100", "200"}, true},
		{"the backend does not want it", func(w *wire) {
			w.head()
			w.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlong")
		}, []string{"413"}, false},
	} {
		f := startFront(t, &Proxy{}, rawBackend(t, c.serve))
		w := dial(t, f.addr)
		w.send("PUT / HTTP/1.1\r\nHost: site\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		for _, want := range c.status {
			head := w.head()
			if !strings.HasPrefix(head, "HTTP/1.1 "+want+" ") {
				t.Errorf("%s: %q, want %s", c.name, head, want)
			}
			if want == "100" {
				w.send("body")
			}
		}
		if got := w.take(4); (got == "body") != c.body {
			t.Errorf("%s: %q", c.name, got)
		}
		f.counts(t, OK)
	}
}

// TestSlowIsNotStalled has a backend and a client that are slow, each pause
// shorter than the limit, the whole longer.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	const limit, pieces = 5 * short, 8
	f := startFront(t, &Proxy{IdleTimeout: limit, FirstByteTimeout: limit}, rawBackend(t, func(w *wire) {
		w.head()
		w.take(pieces)
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", pieces))
		for range pieces {
			time.Sleep(limit / 5)
			w.send("x")
		}
	}))
	w := dial(t, f.addr)
	w.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", pieces))
	for range pieces {
		time.Sleep(limit / 5)
		w.send("x")
	}
	if got, err := w.rest(); err != nil || !strings.HasSuffix(got, strings.Repeat("x", pieces)) {
		t.Errorf("%q, %v", got, err)
	}
	f.counts(t, OK)
}

// TestBoundedMemory streams 256 MiB each way and looks at all the memory that
// was allocated meanwhile, collected or not.
func TestBoundedMemory(t *testing.T) {
	const size = 256 << 20
	f := startFront(t, &Proxy{}, handling(t, func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 64<<10)
		if r.Method == http.MethodPost {
			n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, buf)
			_, _ = fmt.Fprint(w, n)
			return
		}
		w.Header().Set("Content-Length", r.URL.RawQuery)
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(zeros{}, size), buf)
	}))
	for _, c := range []struct {
		name, head string
		chunked    bool
		up, down   int64
	}{
		{"down", fmt.Sprintf("GET /?%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", size), false, 0, size},
		{"up", fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", size), false, size, 9},
		{"up in chunks", "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", true, size, 9},
	} {
		buf := make([]byte, 64<<10)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := dial(t, f.addr)
		w.send(c.head)
		var out io.Writer = struct{ io.Writer }{w}
		if c.chunked {
			out = chunks{out}
		}
		if _, err := io.CopyBuffer(out, io.LimitReader(zeros{}, c.up), buf); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.chunked {
			w.send("0\r\n\r\n")
		}
		if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			t.Errorf("%s: %q", c.name, head)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{w.r}, buf)
		runtime.ReadMemStats(&after)
		if n != c.down || err != nil {
			t.Errorf("%s: got %d bytes, %v", c.name, n, err)
		}
		if a := after.TotalAlloc - before.TotalAlloc; a > 16<<20 {
			t.Errorf("%s: %d MiB allocated for %d MiB", c.name, a>>20, size>>20)
		}
	}
	f.counts(t, OK, OK, OK)
}

// chunks writes each piece as a chunk.
type chunks struct{ w io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	_, _ = fmt.Fprintf(c.w, "%x\r\n", len(p))
	n, err := c.w.Write(p)
	_, _ = io.WriteString(c.w, "\r\n")
	return n, err
}
