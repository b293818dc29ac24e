package resolver

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"ramjet/accelerator/resolver/dnstest"
)

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

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// watching is a Watcher that runs.
func watching(t *testing.T) (w *Watcher, changes *atomic.Int64, l *log) {
	t.Helper()
	l, changes = &log{}, &atomic.Int64{}
	w = &Watcher{Log: slog.New(slog.NewTextHandler(l, nil)), Changed: func() { changes.Add(1) }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w, changes, l
}

func settings(s *dnstest.Server) Settings {
	return Settings{Resolver: Resolver{Server: s.Addr, Timeout: time.Second}, MinTTL: 10 * time.Millisecond, MaxTTL: 20 * time.Millisecond}
}

func (w *Watcher) becomes(t *testing.T, n Name, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); brief(w.Targets(n)) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s stays %q, want %q", n.Host, brief(w.Targets(n)), want)
		}
	}
}

func (w *Watcher) state(n Name) State {
	for _, s := range w.States() {
		if s.Name == n {
			return s
		}
	}
	return State{}
}

// A name is followed to where it goes, and what was known holds through all that a
// DNS server can do wrong.
func TestWatch(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("app.test", "0 A 10.0.0.1")
	w, changes, log := watching(t)
	app := Name{Host: "app.test"}
	w.Watch(t.Context(), settings(s), []Name{app, app})
	if got := brief(w.Targets(app)); got != "10.0.0.1" || changes.Load() != 0 {
		t.Fatalf("at once: %q", got)
	}
	s.Set("app.test", "0 A 10.0.0.2", "0 A 10.0.0.1")
	w.becomes(t, app, "10.0.0.1; 10.0.0.2")
	s.Set("app.test", "0 A 10.0.0.1", "0 A 10.0.0.2") // In turn, as many servers do.
	n := changes.Load()
	asked := s.Asked("A app.test")
	for deadline := time.Now().Add(10 * time.Second); s.Asked("A app.test") < asked+3 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	if changes.Load() != n {
		t.Error("another order is a change")
	}
	for wrong, broken := range map[string]func(on bool){
		"NXDOMAIN": func(on bool) {
			if s.Set("app.test"); !on {
				s.Set("app.test", "0 A 10.0.0.1", "0 A 10.0.0.2")
			}
		},
		"nothing": func(on bool) {
			if s.Set("app.test", "0 SRV 1 1 1 app.test"); !on {
				s.Set("app.test", "0 A 10.0.0.1", "0 A 10.0.0.2")
			}
		},
		"failure": func(on bool) {
			if s.Refuse(0); on {
				s.Refuse(dnsmessage.RCodeServerFailure)
			}
		},
		"silence": func(on bool) {
			s.Silence(dnsmessage.TypeA, on)
			s.Silence(dnsmessage.TypeAAAA, on)
		},
		"lies": func(on bool) {
			if s.Lie(nil); on {
				s.Lie(func(_, _ []byte) []byte { return []byte("who knows") })
			}
		},
	} {
		failed, warned := w.Failed.Load(), log.count("level=WARN")
		broken(true)
		for deadline := time.Now().Add(10 * time.Second); w.state(app).Err == nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(wrong, "is no error")
			}
		}
		if got := brief(w.Targets(app)); got != "10.0.0.1; 10.0.0.2" {
			t.Errorf("%s: %q", wrong, got)
		}
		for deadline := time.Now().Add(10 * time.Second); w.Failed.Load() < failed+2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		}
		if log.count("level=WARN") != warned+1 {
			t.Errorf("%s: %d warnings after two failures", wrong, log.count("level=WARN")-warned)
		}
		broken(false)
		for deadline := time.Now().Add(10 * time.Second); w.state(app).Err != nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(wrong, "has no end")
			}
		}
	}
	if changes.Load() != n {
		t.Error("a failure is a change")
	}
	s.Set("app.test", "0 AAAA 2001:db8::7")
	w.becomes(t, app, "2001:db8::7")
}

// The bounds of the time that an answer is good.
func TestBounds(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("long.test", "86400 A 10.0.0.1")
	s.Set("short.test", "0 A 10.0.0.1")
	w, _, _ := watching(t)
	set := settings(s)
	set.MinTTL, set.MaxTTL = 20*time.Second, time.Minute
	long, short := Name{Host: "long.test"}, Name{Host: "short.test"}
	w.Watch(t.Context(), set, []Name{long, short})
	for n, want := range map[Name]time.Duration{long: time.Minute, short: 20 * time.Second} {
		if st := w.state(n); st.Due.Sub(st.Answered) != want {
			t.Errorf("%s is good for %v", n.Host, st.Due.Sub(st.Answered))
		}
	}
	// With other settings all are asked anew; with the same ones nobody is.
	w.Watch(t.Context(), set, []Name{long})
	time.Sleep(50 * time.Millisecond)
	if n := s.Asked("A long.test"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if len(w.States()) != 1 || w.Targets(short) != nil {
		t.Error("who is not watched any more is known still")
	}
	set.MaxTTL = time.Hour
	w.Watch(t.Context(), set, []Name{long})
	for deadline := time.Now().Add(10 * time.Second); s.Asked("A long.test") < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not asked anew")
		}
	}
}

// Who starts while DNS is not there waits for a while, not for ever, and is told later.
func TestWatchWithoutDNS(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("app.test", "60 A 10.0.0.1")
	s.Silence(dnsmessage.TypeA, true)
	s.Silence(dnsmessage.TypeAAAA, true)
	w, changes, log := watching(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	app := Name{Host: "app.test"}
	w.Watch(ctx, settings(s), []Name{app})
	if w.Targets(app) != nil || w.state(app).Err == nil || log.count(`msg="name not resolved" name=app.test known_addresses=0`) != 1 {
		t.Error("there is something", w.state(app))
	}
	s.Silence(dnsmessage.TypeA, false)
	s.Silence(dnsmessage.TypeAAAA, false)
	w.becomes(t, app, "10.0.0.1")
	if changes.Load() != 1 || log.count(`level=INFO msg="name resolved" name=app.test addresses=[10.0.0.1]`) != 1 {
		t.Errorf("%d changes", changes.Load())
	}
}

func TestRetry(t *testing.T) {
	s := Settings{MinTTL: time.Millisecond, MaxTTL: 10 * time.Second}
	for failures, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 1000: 10} {
		if got := s.retry(failures); got != want*time.Second {
			t.Errorf("after %d: %v", failures, got)
		}
	}
}
