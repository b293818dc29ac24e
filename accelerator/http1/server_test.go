package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/accelerator/connlimit"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// box is a real http.Server behind a Listener on the loopback.
type box struct {
	*Listener
	addr string
}

func newBox(t testing.TB, limits Limits, h http.HandlerFunc) *box {
	return newLimitedBox(t, 0, limits, h)
}

func newLimitedBox(t testing.TB, connections int, limits Limits, h http.HandlerFunc) *box {
	t.Helper()
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: tcp, Limiter: connlimit.New(connections, 0), Limits: limits, Log: slog.New(slog.DiscardHandler)}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	l.Attach(srv)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return &box{l, tcp.Addr().String()}
}

// dial connects; every read and write of the test is bounded.
func (b *box) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// talk sends in and returns everything up to the end of the connection.
func (b *box) talk(t testing.TB, in string) string {
	t.Helper()
	c := b.dial(t)
	go io.WriteString(c, in)
	out, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("after %.60q: %v, having read %q", in, err, out)
	}
	return string(out)
}

func (b *box) waitRefused(t testing.TB, r Reason) {
	t.Helper()
	eventually(t, r.String(), func() bool { return b.Stats.Refused[r].Load() == 1 })
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waiting for: %s", what)
		}
	}
}

// witness records what handlers see of each request: its path, and whether the
// body was complete.
type witness struct {
	mu   sync.Mutex
	seen []string
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	note := fmt.Sprintf("%s %d", r.URL.Path, len(body))
	if err != nil {
		note = r.URL.Path + " broken"
		rw.WriteHeader(http.StatusBadRequest)
	}
	w.mu.Lock()
	w.seen = append(w.seen, note)
	w.mu.Unlock()
	io.WriteString(rw, "answer to "+r.URL.Path)
}

func (w *witness) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.seen, ", ")
	w.seen = nil
	return s
}

// TestServerRefuses sends every wrong request behind a good one, and another
// good one behind it: the first is answered, the wrong one refused with the
// status of its row, the connection ends, the last is never seen.
func TestServerRefuses(t *testing.T) {
	var w witness
	b := newBox(t, Limits{HeadBytes: 1000, HeadFields: 10}, w.ServeHTTP)
	for _, test := range wrongs {
		t.Run(test.name, func(t *testing.T) {
			out := b.talk(t, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"+test.in+next)
			first, rest, ok := strings.Cut(out, "answer to /first")
			if !ok || !strings.HasPrefix(first, "HTTP/1.1 200") {
				t.Errorf("the first request got %q", out)
			}
			status := Reasons[test.want].Answer
			if status == "none" {
				status = "400" // the witness's own
			}
			if !strings.HasPrefix(rest, "HTTP/1.1 "+status) {
				t.Errorf("got %q, want %s", rest, status)
			}
			if seen := w.take(); seen != "/first 0" && seen != "/first 0, /p broken" {
				t.Errorf("handlers saw %s", seen)
			}
		})
	}
	eventually(t, "all connections closed", func() bool { return b.Limiter.Open() == 0 })
	var refused uint64
	for r := range b.Stats.Refused {
		refused += b.Stats.Refused[r].Load()
	}
	if refused != uint64(len(wrongs)) {
		t.Errorf("%d refusals counted, want %d", refused, len(wrongs))
	}
}

func TestServerAccepts(t *testing.T) {
	var w witness
	b := newBox(t, Limits{HeadFields: 10}, w.ServeHTTP)
	for _, test := range rights {
		if strings.HasPrefix(test.in, "CONNECT") || strings.HasPrefix(test.in, "OPTIONS *") || strings.Contains(test.in, "HTTP/1.0") {
			continue // the server closes, or answers without the handler
		}
		out := b.talk(t, "\r\n"+test.in+"\r\n\r\n"+test.in+"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if n := strings.Count(out, "HTTP/1.1 200"); n != 3 || !strings.HasSuffix(out, "answer to /last") {
			t.Errorf("%s: got %q", test.name, out)
		}
		if seen := w.take(); strings.Count(seen, ",") != 2 {
			t.Errorf("%s: handlers saw %s", test.name, seen)
		}
	}
}

// TestBrokenBodyIsNeverWhole: a handler that ignores its body must not let the
// connection live on behind a wrong one either.
func TestBrokenBodyIsNeverWhole(t *testing.T) {
	b := newBox(t, Limits{}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "answer to "+r.URL.Path)
	})
	out := b.talk(t, chunked("4\r\nhello\r\n0\r\n\r\n")+next)
	if !strings.HasSuffix(out, "answer to /p") || strings.Contains(out, "smuggled") {
		t.Errorf("got %q", out)
	}
}

func TestExpectContinue(t *testing.T) {
	var w witness
	b := newBox(t, Limits{BodyStall: patience}, w.ServeHTTP)
	c := b.dial(t)
	in := bufio.NewReader(c)
	io.WriteString(c, post("Content-Length: 5", "Expect: 100-continue", "Connection: close"))
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("got %q, %v", line, err)
	}
	io.WriteString(c, "hello")
	if out, err := io.ReadAll(in); err != nil || !strings.Contains(string(out), "answer to /p") || w.take() != "/p 5" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestBytewiseClient(t *testing.T) {
	var w witness
	b := newBox(t, Limits{}, w.ServeHTTP)
	c := b.dial(t)
	c.SetNoDelay(true)
	go func() {
		for _, x := range []byte("\r\n" + chunked("5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n") + "\r\nGET /e HTTP/1.1\r\nHost : a\r\n\r\n") {
			c.Write([]byte{x})
		}
	}()
	out, err := io.ReadAll(c)
	if err != nil || w.take() != "/p 5" || !strings.Contains(string(out), "HTTP/1.1 400") {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestContextEndsWithClient: the background read of net/http still sees that
// the client has gone, also behind a request that asked for an upgrade.
func TestContextEndsWithClient(t *testing.T) {
	for _, extra := range []string{"", "Connection: upgrade\r\nUpgrade: h2c\r\n"} {
		began, ended := make(chan bool), make(chan bool, 1)
		b := newBox(t, Limits{}, func(w http.ResponseWriter, r *http.Request) {
			close(began)
			select {
			case <-r.Context().Done():
				ended <- true
			case <-time.After(patience):
				ended <- false
			}
		})
		c := b.dial(t)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+extra+"\r\n")
		<-began
		c.Close()
		if !<-ended {
			t.Errorf("with %q the handler was not told", extra)
		}
	}
}

func TestShutdownDrains(t *testing.T) {
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: tcp, Limiter: connlimit.New(0, 0)}
	began, goOn := make(chan bool), make(chan bool)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-goOn
		io.WriteString(w, "done")
	})}
	l.Attach(srv)
	go srv.Serve(l)
	b := &box{l, tcp.Addr().String()}
	c := b.dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()
	eventually(t, "no more accepting", func() bool {
		x, err := net.Dial("tcp", b.addr)
		if err == nil {
			x.Close()
		}
		return err != nil
	})
	close(goOn)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("the request in flight got %v, %v", resp, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
