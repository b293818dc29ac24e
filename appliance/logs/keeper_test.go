package logs

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func quick(dir string, g *supervisor, boot string) *Keeper {
	return &Keeper{
		Dir: dir, Gokrazy: g.socket, Boot: boot, Log: slog.New(slog.DiscardHandler),
		Every: 20 * time.Millisecond, Urgent: time.Millisecond, Quiet: 200 * time.Millisecond, Linger: time.Millisecond, Reserve: 1,
	}
}

// text returns what a file has, without marks, and how many marks there are.
func text(path string) (lines []string, marks int) {
	all, _ := os.ReadFile(path)
	for line := range strings.Lines(string(all)) {
		if strings.HasPrefix(line, markStart) {
			marks++
			continue
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines, marks
}

func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// Each line is kept once, however often this program, or the machine, is started again.
func TestKeptOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "web.log")
	g := newSupervisor(t, "/user/web", "/user/silent", "/gokrazy/web")
	g.says("/user/web", numbered("first", 0, 130)...) // 30 of which nobody has any more
	g.says("/gokrazy/web", "another one")
	want := numbered("first", 30, 130)
	is := func() bool { lines, _ := text(path); return slices.Equal(lines, want) }

	end := keeping(t, quick(dir, g, "boot-1"))
	wait(t, "the past", is)
	g.says("/user/web", "now")
	want = append(want, "now")
	wait(t, "a new line", is)
	end()

	g.says("/user/web", numbered("missed", 0, 40)...)
	want = append(want, numbered("missed", 0, 40)...)
	end = keeping(t, quick(dir, g, "boot-1"))
	wait(t, "what was missed, once", is)
	g.says("/user/web", "more")
	want = append(want, "more")
	wait(t, "what came then", is)
	end()
	if _, marks := text(path); marks != 1 {
		t.Errorf("%d marks for one start of the machine", marks)
	}

	g = newSupervisor(t, "/user/web")
	g.says("/user/web", "more")
	want = append(want, "more")
	end = keeping(t, quick(dir, g, "boot-2"))
	wait(t, "the same line in another start of the machine", is)
	end()
	if _, marks := text(path); marks != 2 {
		t.Errorf("%d marks for two starts of the machine", marks)
	}
	if other, _ := text(filepath.Join(dir, "gokrazy-web.log")); !slices.Equal(other, []string{"another one"}) {
		t.Errorf("the other program of that name: %q", other)
	}
	if _, err := os.Stat(filepath.Join(dir, "silent.log")); err == nil {
		t.Error("a program that says nothing has a file")
	}
}

// A line about an error does not wait for its turn, and lines are told as they come.
func TestErrorsAtOnce(t *testing.T) {
	dir := t.TempDir()
	g := newSupervisor(t, "/user/web")
	k := quick(dir, g, "b")
	k.Every = time.Hour
	var mu sync.Mutex
	var heard []string
	k.Heard = func(from, line string) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, from+": "+line)
	}
	keeping(t, k)
	g.says("/user/web", "time=x level=INFO msg=nothing")
	wait(t, "the line is heard", func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) == 1 })
	if lines, _ := text(filepath.Join(dir, "web.log")); len(lines) != 0 {
		t.Errorf("it was written at once: %q", lines)
	}
	g.says("/user/web", "time=x level=ERROR msg=trouble")
	wait(t, "both are written", func() bool { lines, _ := text(filepath.Join(dir, "web.log")); return len(lines) == 2 })
	if want := "web: time=x level=INFO msg=nothing"; heard[0] != want {
		t.Errorf("%q, want %q", heard[0], want)
	}
}

// A disk that takes nothing is told once, and what it takes later is whole.
func TestDiskComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := newSupervisor(t, "/user/web")
	k := quick(dir, g, "b")
	said := new(lockedText)
	k.Log = slog.New(slog.NewTextHandler(said, nil))
	keeping(t, k)
	g.says("/user/web", numbered("early", 0, 10)...)
	wait(t, "the trouble is told", func() bool { return strings.Contains(said.String(), "not kept for now") })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	wait(t, "all lines", func() bool {
		lines, _ := text(filepath.Join(dir, "web.log"))
		return slices.Equal(lines, numbered("early", 0, 10))
	})
	wait(t, "the end is told", func() bool { return strings.Contains(said.String(), "kept again") })
	if n := strings.Count(said.String(), "not kept for now"); n != 1 {
		t.Errorf("told %d times:\n%s", n, said)
	}
}

// Nothing is written to a disk that is nearly full.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	g := newSupervisor(t, "/user/web")
	k := quick(dir, g, "b")
	k.Reserve = 1 << 62
	said := new(lockedText)
	k.Log = slog.New(slog.NewTextHandler(said, nil))
	end := keeping(t, k)
	g.says("/user/web", "a line")
	wait(t, "the trouble is told", func() bool { return strings.Contains(said.String(), "MiB left") })
	end()
	if all, _ := os.ReadDir(dir); len(all) != 0 {
		t.Errorf("there is %v", all)
	}
}

// A program that says the same for ever does not fill the card, and the file tells that it is not complete.
func TestFlood(t *testing.T) {
	dir := t.TempDir()
	g := newSupervisor(t, "/user/web")
	k := quick(dir, g, "b")
	heard := make(chan struct{}, 100_000)
	k.Heard = func(string, string) { heard <- struct{}{} }
	keeping(t, k)
	line := strings.Repeat("x", 1023)
	for range 1500 {
		g.says("/user/web", line)
		<-heard
	}
	wait(t, "a line that is let through again", func() bool {
		g.says("/user/web", "calm")
		<-heard
		all, _ := os.ReadFile(filepath.Join(dir, "web.log"))
		return strings.Contains(string(all), "calm")
	})
	all, err := os.ReadFile(filepath.Join(dir, "web.log"))
	if err != nil || len(all) > burst+perMinute || len(all) < pendingBytes {
		t.Errorf("%d bytes were kept of %d, %v", len(all), 1500*1024, err)
	}
	if !strings.Contains(string(all), " lines left out ---\n") {
		t.Error("nothing tells that lines are missing")
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	g := newSupervisor(t, "/user/web")
	k := quick(dir, g, "b")
	k.Every = time.Hour // What is not written yet is shown as well.
	heard := make(chan struct{}, 1000)
	k.Heard = func(string, string) { heard <- struct{}{} }
	mux := http.NewServeMux()
	mux.Handle("GET /logs", k)
	mux.Handle("GET /logs/{name}", k)
	server := httptest.NewServer(mux)
	defer server.Close()
	get := func(path string) (int, string) {
		a, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(text)
	}
	if status, _ := get("/logs/web"); status != http.StatusNotFound {
		t.Errorf("a log that is not there yet: %d", status)
	}
	keeping(t, k)
	g.says("/user/web", numbered("line", 0, 50)...)
	for range 50 {
		<-heard
	}
	k.write(false)
	g.says("/user/web", numbered("line", 50, 60)...)
	for range 10 {
		<-heard
	}
	for _, test := range []struct {
		path   string
		status int
		want   string
	}{
		{"/logs/web?lines=0", 400, "lines is a number"},
		{"/logs/..%2fweb", 404, "no such log"},
		{"/logs/web?lines=2", 200, "line 58\nline 59\n"},
		{"/logs/web?lines=12", 200, strings.Join(numbered("line", 48, 60), "\n") + "\n"},
		{"/logs", 200, "web "},
	} {
		wait(t, test.path, func() bool { // A line is heard a moment before it is kept.
			status, text := get(test.path)
			return status == test.status && (text == test.want || status != 200 && strings.Contains(text, test.want) || test.path == "/logs" && strings.HasPrefix(text, test.want))
		})
	}
}

type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
