package proxy

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoAnswer has the backends that never send a valid head.
func TestNoAnswer(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		event        Event
	}{
		{"closes at once", "", BadAnswer},
		{"dies inside the status line", "HTTP/1.1 2", BadAnswer},
		{"dies inside the head", "HTTP/1.1 200 OK\r\nContent-Le", BadAnswer},
		{"dies before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", BadAnswer},
		{"not HTTP", "220 mail.example ESMTP\r\n\r\n", BadAnswer},
		{"HTTP/0.9", "<html>hello</html>", BadAnswer},
		{"status 000", "HTTP/1.1 000 Zero\r\n\r\n", BadAnswer},
		{"status 099", "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", BadAnswer},
		{"status -10", "HTTP/1.1 -10 Low\r\nContent-Length: 0\r\n\r\n", BadAnswer},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", BadAnswer},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab", BadAnswer},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nab", BadAnswer},
		{"unasked 101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", BadAnswer},
		{"bare 101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", BadAnswer},
		{"huge field", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", BadAnswer},
		{"many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4<<10) + "\r\n", BadAnswer},
	} {
		f := startFront(t, &Proxy{MaxResponseHeader: 16 << 10}, answering(t, c.answer))
		got := get(t, f.addr, "/")
		if !strings.HasPrefix(got, "HTTP/1.1 502 Bad Gateway\r\n") || !strings.HasSuffix(got, "no valid answer\n") {
			t.Errorf("%s: %q", c.name, got)
		}
		f.counts(t, c.event)
		if n := f.Pool.Backends()[0].Failures.Load(); n != 1 {
			t.Errorf("%s: %d failures", c.name, n)
		}
	}
}

func TestFirstByteTimeout(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{"silent": "", "half a head": "HTTP/1.1 200 OK\r\nContent"} {
		b := rawBackend(t, func(w *wire) {
			w.head()
			w.send(part)
			_, _ = w.rest()
		})
		f := startFront(t, &Proxy{FirstByteTimeout: short}, b)
		if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
			t.Errorf("%s: %q", name, got)
		}
		f.counts(t, FirstByteTimeout)
	}
}

// fullPort is an address whose connections are never accepted, and whose queue
// for them is full.
func fullPort(t *testing.T) string {
	t.Helper()
	l := listen(t)
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	dial(t, l.Addr().String())
	return l.Addr().String()
}

func TestConnect(t *testing.T) {
	t.Parallel()
	good := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	for _, c := range []struct {
		name     string
		backends []string
		status   string
		events   []Event
	}{
		{"refused", []string{deadPort(t)}, "502", []Event{NoConnection}},
		{"all refused", []string{deadPort(t), deadPort(t), deadPort(t)}, "502", []Event{NoConnection, FailedOver, FailedOver}},
		{"no such host", []string{"host.invalid:80"}, "502", []Event{NoConnection}},
		{"in vain", []string{fullPort(t)}, "504", []Event{ConnectTimeout}},
		{"refused, then in vain", []string{deadPort(t), fullPort(t)}, "504", []Event{ConnectTimeout, FailedOver}},
		{"refused, then good", []string{deadPort(t), good}, "200", []Event{OK, FailedOver}},
		{"in vain, then good", []string{fullPort(t), good}, "200", []Event{OK, FailedOver}},
	} {
		f := startFront(t, &Proxy{ConnectTimeout: 2 * short}, c.backends...)
		got, _ := roundTrip(t, f.addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.status) {
			t.Errorf("%s: %q", c.name, got)
		}
		f.counts(t, c.events...)
	}
}

// TestBrokenBody has the backends that send less than they promised: no client
// may take what it gets for the whole.
func TestBrokenBody(t *testing.T) {
	t.Parallel()
	const lengthHead = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
	const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := "2710\r\n" + strings.Repeat("x", 10000) + "\r\n"
	for _, c := range []struct {
		name, answer string
		reset, stall bool
		event        Event
	}{
		{"length, nothing", lengthHead, false, false, BackendAborted},
		{"length, some", lengthHead + strings.Repeat("x", 50000), false, false, BackendAborted},
		{"length, reset", lengthHead + strings.Repeat("x", 50000), true, false, BackendAborted},
		{"length, stall", lengthHead + strings.Repeat("x", 50000), false, true, BackendStalled},
		{"chunked, nothing", chunkedHead, false, false, BackendAborted},
		{"chunked, some", chunkedHead + chunk, false, false, BackendAborted},
		{"chunked, in a chunk", chunkedHead + chunk + chunk[:500], false, false, BackendAborted},
		{"chunked, no last", chunkedHead + chunk + "0\r\n", false, false, BackendAborted},
		{"chunked, bad size", chunkedHead + chunk + "zz\r\n", false, false, BackendAborted},
		{"chunked, stall", chunkedHead + chunk, false, true, BackendStalled},
		{"close, reset", "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", 50000), true, false, BackendAborted},
		{"close, stall", "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", 50000), false, true, BackendStalled},
	} {
		b := rawBackend(t, func(w *wire) {
			w.head()
			w.send(c.answer)
			switch {
			case c.stall:
				_, _ = w.rest()
			case c.reset:
				time.Sleep(short / 3) // a reset overtakes what was sent
				w.reset()
			}
		})
		idle := patience
		if c.stall {
			idle = short
		}
		f := startFront(t, &Proxy{IdleTimeout: idle}, b)
		for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
			got, err := roundTrip(t, f.addr, "GET / "+version+"\r\nHost: site\r\n\r\n")
			if whole(got, version, err) {
				t.Errorf("%s, %s: taken for whole: %.200q", c.name, version, got)
			}
		}
		f.counts(t, c.event, c.event)
	}
}

// whole reports whether a client could take what it got for a whole answer.
func whole(got, version string, err error) bool {
	head, body, ok := strings.Cut(got, "\r\n\r\n")
	switch {
	case !ok:
		return false
	case strings.Contains(head, "Content-Length: 100000"):
		return len(body) >= 100000
	case strings.Contains(head, "Transfer-Encoding: chunked"):
		return strings.HasSuffix(body, "0\r\n\r\n")
	case version == "HTTP/1.0":
		return err == nil // the end of the connection is the end of the body
	}
	return true
}

// TestBackendDoesNotRead sends more than the socket buffers hold to a backend
// that reads nothing.
func TestBackendDoesNotRead(t *testing.T) {
	t.Parallel()
	b := rawBackend(t, func(w *wire) {
		w.head()
		time.Sleep(8 * short)
	})
	f := startFront(t, &Proxy{IdleTimeout: 2 * short}, b)
	w := dial(t, f.addr)
	w.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 1000000000\r\n\r\n")
	go func() { _, _ = io.Copy(w, io.LimitReader(zeros{}, 1e9)) }()
	if got := w.head(); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("%q", got)
	}
	f.counts(t, BackendStalled)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestClientGone has the clients that leave: before the answer, inside it, and
// inside their own request.
func TestClientGone(t *testing.T) {
	left := make(chan error, 1)
	b := rawBackend(t, func(w *wire) {
		head := w.head()
		if strings.HasPrefix(head, "GET /endless") {
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
			_, err := io.Copy(w, io.LimitReader(zeros{}, 1e9))
			left <- err
			return
		}
		_, err := w.rest()
		left <- err
	})
	pages := 0
	f := startFront(t, &Proxy{ErrorPage: func(http.ResponseWriter, *http.Request, int, string) { pages++ }}, b)
	for i, request := range []string{
		"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive!",
		"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n",
	} {
		w := dial(t, f.addr)
		w.send(request)
		eventually(t, "the request at the backend", func() bool { return f.Pool.Backends()[0].Requests.Load() == uint64(i+1) })
		if strings.HasPrefix(request, "GET /endless") {
			w.take(100)
		}
		time.Sleep(short / 3)
		w.reset()
		select {
		case <-left:
		case <-time.After(patience):
			t.Errorf("%q: the backend was not told", request)
		}
	}
	f.counts(t, ClientAborted, ClientAborted, ClientAborted, ClientAborted)
	if pages > 0 {
		t.Errorf("%d error pages for nobody", pages)
	}
}

// TestBadRequestBody has the clients that stall, or send what is no body.
func TestBadRequestBody(t *testing.T) {
	t.Parallel()
	b := rawBackend(t, func(w *wire) { _, _ = w.rest() })
	for _, c := range []struct {
		request, status string
		event           Event
	}{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive!", "408", ClientStalled},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n", "408", ClientStalled},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400", ClientBodyBad},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxGET / HTTP/1.1\r\n\r\n", "400", ClientBodyBad},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000), "413", ClientBodyBad},
	} {
		f := startFront(t, &Proxy{IdleTimeout: 2 * short}, b)
		limited := startServer(t, http.MaxBytesHandler(f.Proxy, 200000))
		got, err := roundTrip(t, limited, c.request)
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 "+c.status) || !strings.Contains(head, "\r\nConnection: close") {
			t.Errorf("%.90q: %q %v", c.request, got, err)
		}
		if strings.Contains(body, "HTTP/1.1") {
			t.Errorf("%.90q: the rest of the body was taken for a request: %q", c.request, got)
		}
		f.counts(t, c.event)
	}
}

// TestErrorPage checks that a page gets the fields that were set before.
func TestErrorPage(t *testing.T) {
	f := startFront(t, &Proxy{ErrorPage: func(w http.ResponseWriter, r *http.Request, status int, reason string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.URL.Path+" "+reason)
	}}, deadPort(t))
	server := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "box")
		f.ServeHTTP(w, r)
	}))
	got := get(t, server, "/page")
	if !strings.Contains(got, "\r\nServer: box\r\n") || !strings.HasSuffix(got, "/page no backend could be connected to") {
		t.Errorf("%q", got)
	}
}
