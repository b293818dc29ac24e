package accesslog

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that takes a moment.
const patience = 20 * time.Second

// told is a log that the test reads.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (t *told) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *told) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// running is a Log whose writer runs. end ends it and waits.
type running struct {
	*Log
	told told
	end  func()
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	r := &running{}
	r.Log = New(o, slog.New(slog.NewTextHandler(&r.told, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx)
	}()
	r.end = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the writer does not end")
		}
	}
	t.Cleanup(r.end)
	return r
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

// request is a record whose target is that text.
func request(target string) *Record {
	r := usual()
	r.Target = []byte(target)
	return r
}

// targets returns the targets of the lines of a file, in order.
func targets(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if !strictCLF.MatchString(line) {
			t.Fatalf("%s: not a line: %q", path, line)
		}
		all = append(all, strings.Fields(line)[6])
	}
	return all
}

// A line is there within about a second, and nobody asked for it; at the end all are.
func TestLinesArrive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "access.log")
	l := run(t, Options{Format: Combined, To: Destination{File: path}})
	ring := l.NewRing()
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	ring.Append(request("/first"))
	eventually(t, "the first line is in the file", func() bool { return l.Stats().Lines == 1 })
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	ring.Append(request("/last"))
	l.end()
	if got := targets(t, path); len(got) != 2 || got[1] != "/last" {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("anybody may read who asked for what: %v, %v", info.Mode(), err)
	}
}

// A ring that gets half full wakes a writer that sleeps, once.
func TestHalfFullRingWakes(t *testing.T) {
	l := New(Options{Format: Combined, RingBytes: 64 << 10}, discard)
	ring := l.NewRing()
	half := 32 << 10 / entryLen(usual())
	l.napping.Store(true)
	for range half {
		ring.Append(usual())
	}
	if len(l.kick) != 0 {
		t.Error("woken before half of the ring is full")
	}
	for range half {
		ring.Append(usual())
	}
	if len(l.kick) != 1 || l.napping.Load() {
		t.Error("not woken")
	}
	<-l.kick
	ring.Append(usual())
	if len(l.kick) != 0 {
		t.Error("woken again, though it does not sleep")
	}
}

// A burst wakes the writer from the long sleep of an idle server: nothing is lost.
func TestBurstWakesTheWriter(t *testing.T) {
	t.Parallel()
	l := run(t, Options{Format: Combined, To: Destination{File: filepath.Join(t.TempDir(), "a")}})
	ring := l.NewRing()
	eventually(t, "the writer sleeps", func() bool { return l.napping.Load() })
	half := DefaultRingBytes/2/entryLen(usual()) + 1
	start := time.Now()
	for range half {
		ring.Append(usual())
	}
	eventually(t, "the burst is written", func() bool { return l.Stats().Lines == uint64(half) })
	if took := time.Since(start); took > 700*time.Millisecond {
		t.Logf("the burst took %s: not the wake of the producer, unless the machine is very busy", took)
	}
	if s := l.Stats(); s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// Several rings, a shared one among them, while settings change: each record is a
// line or is counted.
func TestEveryRecordIsAccountedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Format: Combined, To: Destination{File: filepath.Join(dir, "a")}, RingBytes: 32 << 10, RotateBytes: 1 << 20, KeepBytes: 1 << 30}
	l := run(t, o)
	shared := l.NewShared()
	const each = 20_000
	var group sync.WaitGroup
	for range 2 {
		ring := l.NewRing()
		group.Go(func() {
			for i := range each {
				if ring.Append(usual()); i%100 == 0 {
					time.Sleep(50 * time.Microsecond)
				}
			}
		})
		group.Go(func() {
			for i := range each {
				if shared.Append(usual()); i%100 == 0 {
					time.Sleep(50 * time.Microsecond)
				}
			}
		})
	}
	group.Go(func() {
		for i := range 50 {
			time.Sleep(time.Millisecond)
			if o.To.File = filepath.Join(dir, "b"); i%2 == 0 {
				o.To.File = filepath.Join(dir, "a")
			}
			l.Set(o)
			l.Reopen()
		}
	})
	group.Wait()
	l.end()
	s := l.Stats()
	if s.Lines+s.Dropped != 4*each || s.WriteErrors != 0 {
		t.Errorf("%+v of %d", s, 4*each)
	}
	lines := 0
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		lines += len(targets(t, filepath.Join(dir, e.Name())))
	}
	if uint64(lines) != s.Lines {
		t.Errorf("%d lines in the files, %d counted", lines, s.Lines)
	}
}

// Off takes the memory away, on brings it back.
func TestOffAndOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	on := Options{Format: Common, To: Destination{File: path}}
	l := run(t, Options{})
	ring := l.NewRing()
	if ring.Append(request("/none")) {
		t.Error("taken while off")
	}
	l.Set(on)
	if !ring.Append(request("/one")) {
		t.Error("not taken though on")
	}
	eventually(t, "the first is written", func() bool { return l.Stats().Lines == 1 })
	l.Set(Options{Format: Off})
	eventually(t, "it is off", func() bool { return !ring.On() })
	ring.Append(request("/none"))
	l.Set(on)
	ring.Append(request("/two"))
	l.end()
	if got := targets(t, path); strings.Join(got, " ") != "/one /two" {
		t.Errorf("%q", got)
	}
	if s := l.Stats(); s != (Stats{Lines: 2}) {
		t.Errorf("%+v", s)
	}
}

// What was written before a change stays, what comes after it is written as now.
func TestSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := run(t, Options{Format: Common, To: Destination{File: filepath.Join(dir, "a")}})
	ring := l.NewRing()
	ring.Append(request("/a"))
	eventually(t, "the first is written", func() bool { return l.Stats().Lines == 1 })
	l.Set(Options{Format: JSON, To: Destination{File: filepath.Join(dir, "b")}})
	eventually(t, "the new one is open", func() bool { _, err := os.Stat(filepath.Join(dir, "b")); return err == nil })
	ring.Append(request("/b"))
	l.end()
	if got := targets(t, filepath.Join(dir, "a")); strings.Join(got, " ") != "/a" {
		t.Errorf("%q", got)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || !strings.Contains(string(text), `"target":"/b"`) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNextNap(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		part float64
		want time.Duration
	}{
		{time.Second, 0, time.Second},
		{100 * time.Millisecond, 0, 200 * time.Millisecond},
		{0, 0, 2 * time.Millisecond},
		{100 * time.Millisecond, 0.25, 100 * time.Millisecond},
		{100 * time.Millisecond, 0.5, 50 * time.Millisecond},
		{100 * time.Millisecond, 0.01, 200 * time.Millisecond},
		{time.Millisecond, 1, time.Millisecond},
		{time.Hour, 0.0001, time.Second},
	} {
		if got := nextNap(c.took, c.part); got != c.want {
			t.Errorf("after %s, filled to %v: %s, want %s", c.took, c.part, got, c.want)
		}
	}
}
