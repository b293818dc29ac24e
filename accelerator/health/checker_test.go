package health

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ramjet/accelerator/backend"
)

// farm is a real server that does as it is told.
type farm struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newFarm(t *testing.T) *farm {
	f := &farm{}
	f.say(func(http.ResponseWriter, *http.Request) {})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		(*f.answer.Load())(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *farm) say(answer http.HandlerFunc) { f.answer.Store(&answer) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func pool(t *testing.T, addresses ...string) []*backend.Backend {
	t.Helper()
	var s backend.Settings
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		s.Servers = append(s.Servers, backend.Server{URL: u})
	}
	p, err := backend.NewPool(s)
	if err != nil {
		t.Fatal(err)
	}
	return p.Backends()
}

func httpCheck() Check {
	return Check{
		Kind: HTTP, Path: "/health?deep=1", Status: []Range{{200, 399}},
		Interval: 10 * time.Millisecond, Timeout: 5 * time.Second, Rise: 2, Fall: 3,
	}
}

// log collects what is logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func checking(t *testing.T) (*Checker, *log) {
	t.Helper()
	l := &log{}
	c := &Checker{Log: slog.New(slog.NewTextHandler(l, nil))}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c, l
}

func becomes(t *testing.T, b *backend.Backend, want backend.Health) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); b.Health() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s stays %v, want %v", b.URL, b.Health(), want)
		}
	}
}

func TestRiseAndFall(t *testing.T) {
	f := newFarm(t)
	b := pool(t, f.URL)[0]
	c, log := checking(t)
	check := httpCheck()
	check.Host = "site.example"
	var got atomic.Value
	f.say(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Host + " " + r.RequestURI) })
	c.Watch([]*backend.Backend{b}, check)
	becomes(t, b, backend.Up)
	if got.Load() != "site.example /health?deep=1" {
		t.Errorf("asked for %v", got.Load())
	}

	// Twice bad in a row is not down: the third answer is good each time.
	var n atomic.Int64
	f.say(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%3 != 0 {
			w.WriteHeader(503)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); n.Load() < 12 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if b.Health() != backend.Up {
			t.Fatal("down after two bad answers")
		}
	}
	f.say(status(503))
	becomes(t, b, backend.Down)
	// Nor is once good up again.
	n.Store(0)
	f.say(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(503)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); n.Load() < 8 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if b.Health() != backend.Down {
			t.Fatal("up after one good answer")
		}
	}
	f.say(status(204))
	becomes(t, b, backend.Up)
	for _, want := range []string{`level=WARN msg="backend is down" backend=` + f.URL + ` err="status 503"`, `level=INFO msg="backend is up again"`} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%d times in the log: %s\n%s", n, want, log)
		}
	}
	if c.Passed.Load() == 0 || c.Failed.Load() == 0 {
		t.Error("checks are not counted")
	}
}

// What each kind of check calls bad.
func TestAsk(t *testing.T) {
	f := newFarm(t)
	// On an address of its own, so that nobody else is given the port.
	closed, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := httpCheck()
	body := plain
	body.Body = "all is well"
	quick := plain
	quick.Timeout = 50 * time.Millisecond
	odd := plain
	odd.Status = []Range{{404, 404}, {500, 502}}
	tcp := quick
	tcp.Kind = TCP
	elsewhere := newFarm(t)
	socket := filepath.Join(t.TempDir(), "farm.sock")
	local, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(local, f.Config.Handler)
	defer local.Close()
	hang := make(chan struct{})
	defer close(hang)
	for _, c := range []struct {
		name   string
		check  Check
		url    string
		answer http.HandlerFunc
		wrong  string
	}{
		{"200", plain, f.URL, status(200), ""},
		{"500", plain, f.URL, status(500), "status 500"},
		{"a set of codes", odd, f.URL, status(501), ""},
		{"not of the set", odd, f.URL, status(200), "status 200"},
		{"a redirect is not followed", plain, f.URL, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}, ""},
		{"body", body, f.URL, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "yes, all is well here") }, ""},
		{"other body", body, f.URL, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "all is lost") }, `"all is well" is not in`},
		{"too far behind", body, f.URL, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat(" ", maxBody), "all is well")
		}, "is not in the answer's first 65536 bytes"},
		{"short body", body, f.URL, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "all is well")
		}, "unexpected EOF"},
		{"endless head", plain, f.URL, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 100_000))
		}, "exceeded"},
		{"no answer", quick, f.URL, func(http.ResponseWriter, *http.Request) { <-hang }, "no answer within 50ms"},
		{"tcp", tcp, f.URL, status(500), ""},
		{"nobody listens, tcp", tcp, "http://" + closed.Addr().String(), status(200), "connection refused"},
		{"nobody listens", plain, "http://" + closed.Addr().String(), status(200), "connection refused"},
		{"tcp, by a socket", tcp, "unix://" + socket, status(500), ""},
		{"by a socket", plain, "unix://" + socket, status(500), "status 500"},
		{"no socket", plain, "unix://" + socket + ".gone", status(200), "no such file"},
		{"not https", plain, "https" + strings.TrimPrefix(f.URL, "http"), status(200), "HTTP response to HTTPS"},
	} {
		f.say(c.answer)
		err := c.check.ask(t.Context(), pool(t, c.url)[0])
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wrong)
		}
	}
	if n := elsewhere.asked.Load(); n != 0 {
		t.Errorf("%d questions followed a redirect", n)
	}
}

// Whoever is no longer watched is no longer asked; whoever still is keeps what is
// known of it.
func TestWatchAnew(t *testing.T) {
	stays, goes, comes := newFarm(t), newFarm(t), newFarm(t)
	stays.say(status(500))
	b := pool(t, stays.URL, goes.URL, comes.URL)
	c, _ := checking(t)
	c.Watch(b[:2], httpCheck())
	becomes(t, b[0], backend.Down)
	becomes(t, b[1], backend.Up)
	c.Watch([]*backend.Backend{b[0], b[2]}, httpCheck())
	if b[0].Health() != backend.Down {
		t.Error("what was known is forgotten")
	}
	becomes(t, b[2], backend.Up)
	// Others may come and go without any change for those who stay.
	c.Follow([]*backend.Backend{b[1], b[2]})
	becomes(t, b[1], backend.Up)
	b[1].SetHealth(backend.Down, time.Now())
	becomes(t, b[1], backend.Up)
	c.Follow([]*backend.Backend{b[0], b[2]})
	for deadline := time.Now().Add(10 * time.Second); comes.asked.Load() < 20; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("who stays is not asked any more")
		}
	}
	n := goes.asked.Load()
	time.Sleep(100 * time.Millisecond)
	if more := goes.asked.Load() - n; more != 0 {
		t.Errorf("asked %d times more", more)
	}
	off := httpCheck()
	off.Kind = Off
	c.Watch([]*backend.Backend{b[0]}, off)
	if b[0].Health() != backend.Unchecked {
		t.Error("without checks it is still", b[0].Health())
	}
	c.Follow(b)
	time.Sleep(100 * time.Millisecond)
	if b[0].Health() != backend.Unchecked {
		t.Error("it was asked after checks were switched off")
	}
}

// Changes that are quicker than three checks do not keep a backend that is dead
// from being found so.
func TestFollowKeepsCount(t *testing.T) {
	f := newFarm(t)
	f.say(status(500))
	b := pool(t, f.URL, "http://127.0.0.1:1")
	c, _ := checking(t)
	c.Watch(b[:1], httpCheck())
	for deadline := time.Now().Add(10 * time.Second); b[0].Health() != backend.Down; time.Sleep(time.Millisecond) {
		c.Follow(b)
		c.Follow(b[:1])
		if time.Now().After(deadline) {
			t.Fatal("still", b[0].Health())
		}
	}
}

// A backend that wants a greeting on each connection gets it from the checks, too.
func TestGreeting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			n, _ := io.ReadAtLeast(c, buf, len("PROXY UNKNOWN\r\nGET"))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.Close()
			heard <- string(buf[:n])
		}
	}()
	b := pool(t, "http://"+l.Addr().String())[0]
	check := httpCheck()
	check.Greeting = []byte("PROXY UNKNOWN\r\n")
	if err := check.ask(t.Context(), b); err != nil {
		t.Error(err)
	}
	if got := <-heard; !strings.HasPrefix(got, "PROXY UNKNOWN\r\nGET /health?deep=1 HTTP/1.1\r\n") {
		t.Errorf("%q", got)
	}
	check.Kind = TCP
	if err := check.ask(t.Context(), b); err != nil {
		t.Error(err)
	}
	if got := <-heard; got != "PROXY UNKNOWN\r\n" {
		t.Errorf("%q", got)
	}
}

// The time from one check to the next is the interval give or take a tenth, and not twice the same.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval, step = time.Second, 5 * time.Millisecond
		c, _ := checking(t)
		p, err := backend.NewPool(backend.Settings{Servers: []backend.Server{{URL: &url.URL{Scheme: "http", Host: "a.example"}, Unresolved: true}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Watch(p.Backends(), Check{Kind: TCP, Interval: interval, Timeout: interval, Rise: 1, Fall: 1}) // It cannot even be asked.
		var gaps []time.Duration
		last := time.Now()
		for asked := uint64(1); len(gaps) < 1000; time.Sleep(step) {
			synctest.Wait()
			if n := c.Failed.Load(); n > asked {
				gaps, last, asked = append(gaps, time.Since(last)), time.Now(), n
			}
		}
		slices.Sort(gaps)
		if least, most := gaps[0], gaps[len(gaps)-1]; least < interval*9/10-step || most > interval*11/10+step {
			t.Errorf("from %v to %v", least, most)
		}
		// The quarters are all as likely.
		for i, want := range []time.Duration{950, 1000, 1050} {
			if got := gaps[len(gaps)*(i+1)/4]; (got - want*time.Millisecond).Abs() > 20*time.Millisecond {
				t.Errorf("a share of %d/4 comes before %v, want %v", i+1, got, want*time.Millisecond)
			}
		}
	})
}
