package eventloop

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/connlimit"
	"ramjet/accelerator/content"
)

// listening makes one loop for a site of two files, one of which is on disk.
func listening(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string]int{"small.html": 1000, "large.html": 100_000} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	store := content.NewStore(content.Options{
		Root: dir, Memory: 1 << 20, MemoryPerFile: 10_000, OpenFiles: 10, Types: map[string]string{".html": "text/html"},
	}, log)
	if err := store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Loops: 1, Limiter: connlimit.New(0, 0), Log: log,
		Limits: Limits{HeadBytes: 8 << 10, HeadTime: time.Minute, IdleTime: time.Minute, StallTime: time.Minute},
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.Show(&content.View{Store: store, Rules: &content.Rules{}}, nil)
	return s
}

// serving starts a loop.
func serving(t testing.TB) *Server {
	t.Helper()
	s := listening(t)
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool)
	go func() { ended <- s.Run(ctx, func() context.Context { return context.Background() }) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - 1)
	})
	return s
}

// exchange sends a request n times on one connection and reads each answer.
func converse(t testing.TB, s *Server, request string, n int) func() {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 200_000)
	out := []byte(request)
	c.Write(out)
	size, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	for more := true; more; { // The first answer tells how long each is.
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		m, err := c.Read(buf[size:])
		size += m
		more = err == nil
	}
	c.SetReadDeadline(time.Time{})
	return func() {
		for range n {
			c.Write(out)
			for got := 0; got < size; {
				m, err := c.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got += m
			}
		}
	}
}

var requests = map[string]string{
	"small":       "GET /small.html HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n",
	"large":       "GET /large.html HTTP/1.1\r\nHost: a\r\n\r\n",
	"notModified": "GET /small.html HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
	"since":       "GET /small.html HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n",
	"escaped":     "HEAD /%73mall.html HTTP/1.1\r\nHost: a\r\n\r\n",
}

// waits returns the places where loops have waited for a lock or a channel so far,
// with their numbers.
func waits(t *testing.T) string {
	var all strings.Builder
	for _, profile := range []string{"mutex", "block"} {
		var text strings.Builder
		if err := pprof.Lookup(profile).WriteTo(&text, 1); err != nil {
			t.Fatal(err)
		}
		for stack := range strings.SplitSeq(text.String(), "\n\n") {
			if strings.Contains(stack, "eventloop.(*loop)") && !strings.Contains(stack, "runtime.exitsyscall") {
				all.WriteString(stack)
			}
		}
	}
	return all.String()
}

// In steady state a request costs no allocation and waits for no lock.
func TestNoAllocationNoLock(t *testing.T) {
	s := serving(t)
	const many = 5000
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	defer runtime.SetMutexProfileFraction(0)
	defer runtime.SetBlockProfileRate(0)
	for name, request := range requests {
		run := converse(t, s, request, many)
		run() // What is allocated once is allocated now, what has to be fetched is there.
		waited, cold := waits(t), s.Count(ColdReads)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > many/50 { // The runtime and the client have some of their own.
			t.Errorf("%s: %d allocations for %d requests", name, n, many)
		}
		// A piece that the kernel has dropped meanwhile comes through the inbox.
		if now := waits(t); now != waited && s.Count(ColdReads) == cold {
			t.Errorf("%s: a loop waited:\n%s\nbefore\n%s", name, now, waited)
		}
	}
	all := uint64(2 * many * len(requests))
	for deadline := time.Now().Add(20 * time.Second); s.Count(Requests) < all && time.Now().Before(deadline); { // The last ones are counted behind their answers.
		time.Sleep(time.Millisecond)
	}
	if s.Handoffs(NotStatic) > 0 || s.Count(Requests) < all {
		t.Errorf("%d requests answered", s.Count(Requests))
	}
}

// Who waits in the kernel's queue when the server is told to end is answered.
func TestDrainEmptiesTheQueue(t *testing.T) {
	s := listening(t)
	const clients = 5 * acceptAtOnce
	var waiting []net.Conn
	for range clients {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write([]byte("GET /small.html HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if !s.Run(ended, t.Context) {
		t.Error("connections were cut")
	}
	for i, c := range waiting {
		if got, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 200 OK\r\n")) {
			t.Fatalf("client %d of %d: %q, %v", i, clients, got[:min(len(got), 40)], err)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	s := serving(b)
	for name, request := range requests {
		b.Run(name, func(b *testing.B) {
			run := converse(b, s, request, b.N)
			b.ReportAllocs()
			b.ResetTimer()
			run()
		})
	}
}
