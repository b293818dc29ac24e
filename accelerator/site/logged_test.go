package site

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/accelerator/accesslog"
)

// logLine is a line of the access log.
type logLine struct {
	Remote, Method, Target, Protocol, Host, Referer string
	Status                                          int
	Bytes                                           int64
	Duration                                        float64
	UserAgent                                       string `json:"user_agent"`
}

// startLogged serves h with an access log; end returns its lines.
func startLogged(t *testing.T, h http.Handler, listener net.Listener) (url string, end func() []logLine) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	log := accesslog.New(accesslog.Options{Format: accesslog.JSON, To: accesslog.Destination{File: path}}, slog.New(slog.DiscardHandler))
	server := httptest.NewUnstartedServer(&Logged{Handler: h, Log: log.NewShared()})
	if listener != nil {
		server.Listener.Close()
		server.Listener = listener
	}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, func() (lines []logLine) {
		server.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = log.Run(ctx)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var l logLine
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			lines = append(lines, l)
		}
		return lines
	}
}

// What a handler does, and the status and length that are logged.
func TestLogged(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		do     func(w http.ResponseWriter, r *http.Request)
		status int
		bytes  int64
	}{
		"says nothing": {"GET", func(http.ResponseWriter, *http.Request) {}, 200, 0},
		"writes":       {"GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") }, 200, 5},
		"in pieces": {"GET", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "12")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "3")
		}, 200, 3},
		"to HEAD":       {"HEAD", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "12345") }, 200, 0},
		"status":        {"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, "no") }, 404, 2},
		"status twice":  {"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) }, 404, 0},
		"not modified":  {"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304); _, _ = w.Write([]byte("x")) }, 304, 0},
		"early hints":   {"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(202) }, 202, 0},
		"flushes first": {"GET", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, 200, 0},
		"copies":        {"GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, bytes.NewReader(make([]byte, 1<<20))) }, 200, 1 << 20},
		"aborts":        {"GET", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, accesslog.StatusGone, 0},
		"aborts later":  {"GET", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "123"); panic(http.ErrAbortHandler) }, 200, 3},
		"takes the connection": {"GET", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			conn.Close()
		}, 101, 0},
	} {
		t.Run(name, func(t *testing.T) {
			url, end := startLogged(t, http.HandlerFunc(c.do), nil)
			r, err := http.NewRequest(c.method, url+"/a?b", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "www.example.org"
			r.Header.Set("Referer", "http://r/")
			r.Header.Set("User-Agent", "test/1")
			if answer, err := new(http.Transport).RoundTrip(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			lines := end()
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			got := lines[0]
			if got.Duration < 0 || got.Duration > 60 {
				t.Errorf("it took %v", got.Duration)
			}
			got.Duration = 0
			want := logLine{
				Remote: "127.0.0.1", Method: c.method, Target: "/a?b", Protocol: "HTTP/1.1", Host: "www.example.org",
				Referer: "http://r/", UserAgent: "test/1", Status: c.status, Bytes: c.bytes,
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// The wrapper takes nothing away: deadlines, full duplex, and flushing by way of
// http.ResponseController.
func TestLoggedKeepsControl(t *testing.T) {
	url, end := startLogged(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		for what, err := range map[string]error{
			"SetReadDeadline":  control.SetReadDeadline(time.Now().Add(time.Minute)),
			"SetWriteDeadline": control.SetWriteDeadline(time.Now().Add(time.Minute)),
			"EnableFullDuplex": control.EnableFullDuplex(),
			"Flush":            control.Flush(),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}), nil)
	if answer, err := http.Get(url); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	}
	end()
}

// watched is a listener whose connections count what comes from files.
type watched struct {
	*net.TCPListener
	bytes atomic.Int64
}

func (l *watched) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	return &watchedConn{c, l}, err
}

type watchedConn struct {
	*net.TCPConn
	l *watched
}

// ReadFrom is what net/http calls for a file, and what makes it sendfile.
func (c *watchedConn) ReadFrom(src io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(src)
	if part, ok := src.(*io.LimitedReader); ok {
		if _, ok := part.R.(*os.File); ok {
			c.l.bytes.Add(n)
		}
	}
	return n, err
}

// A large file still goes from the disk to the socket by the kernel.
func TestLoggedKeepsSendfile(t *testing.T) {
	const size = 3 << 20
	for name, off := range map[string]bool{"with a log": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSite(t, map[string]string{"large.bin": string(make([]byte, size)), "index.html": "x"}, nil)
			s.Rules.UnknownType = "application/octet-stream"
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			listener := &watched{TCPListener: tcp.(*net.TCPListener)}
			handler := http.Handler(s)
			if off {
				handler = &Logged{Handler: s}
			}
			url, end := startLogged(t, handler, listener)
			answer, err := http.Get(url + "/large.bin")
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, bufio.NewReader(answer.Body))
			answer.Body.Close()
			lines := end()
			if n != size || err != nil || len(lines) != 1 || lines[0].Bytes != size {
				t.Errorf("%d bytes, %v, logged %+v", n, err, lines)
			}
			if got := listener.bytes.Load(); got < size-64<<10 { // The last bytes are sent otherwise.
				t.Errorf("%d of %d bytes went by sendfile", got, size)
			}
		})
	}
}

// Bodies that are too large still close the connection: net/http does that for its
// own ResponseWriter alone.
func TestLoggedKeepsBodyLimit(t *testing.T) {
	s, _ := newSite(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the body was read")
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	s.BodyBytes = 10
	url, end := startLogged(t, s, nil)
	answer, err := http.Post(url, "text/plain", io.MultiReader(bytes.NewReader(make([]byte, 1000)))) // Its length is not declared.
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if !answer.Close {
		t.Errorf("the connection is kept: %v", answer.Header)
	}
	if lines := end(); len(lines) != 1 || lines[0].Status != http.StatusRequestEntityTooLarge {
		t.Errorf("%+v", lines)
	}
}

// The price of a line in the net/http server, beside some 30 µs for the request.
func BenchmarkLogged(b *testing.B) {
	for _, format := range []accesslog.Format{accesslog.Off, accesslog.Combined} {
		b.Run(format.String(), func(b *testing.B) {
			log := accesslog.New(accesslog.Options{Format: format, To: accesslog.Destination{File: "/dev/null"}}, slog.New(slog.DiscardHandler))
			h := &Logged{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }), Log: log.NewShared()}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); _ = log.Run(ctx) }()
			r := httptest.NewRequest("GET", "/assets/app-3f9a1c.js", nil)
			r.Header.Set("Referer", "https://www.example.org/products/index.html")
			r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
			cancel()
			<-ended
		})
	}
}
