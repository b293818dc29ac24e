package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/configuration/supervised"
)

// As this program the test binary is a recorder of its own: so it can be killed as a power cut kills it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RECORD_IN"); dir != "" {
		r := in(dir, os.Getenv("RECORD_BOOT"))
		r.Socket = os.Getenv("RECORD_SOCKET")
		r.Note("config", "gokrazy from 192.0.2.1", "a change is tried")
		r.Heard("accelerator", "a line of the log")
		_ = r.Run(context.Background())
	}
	status := m.Run()
	supervised.Remove()
	os.Exit(status)
}

const (
	first  = "00000000-0000-4000-8000-000000000001"
	second = "00000000-0000-4000-8000-000000000002"
	third  = "00000000-0000-4000-8000-000000000003"
)

func in(dir, boot string) *Recorder {
	return &Recorder{
		Ring: filepath.Join(dir, "state", "ring"), Flights: filepath.Join(dir, "state", "flights"), Boot: boot, Version: "test",
		Socket: filepath.Join(dir, "nobody"), Every: 20 * time.Millisecond, Turn: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

// run runs a recorder until its clean end.
func run(t *testing.T, r *Recorder) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	return end
}

func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// onDisk is what the ring of a directory has, of all starts of the machine.
func onDisk(t *testing.T, dir string) (all []Record) {
	t.Helper()
	r, blocks, err := openRing(in(dir, first).Ring, bootA, ringBlocks)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for _, b := range blocks {
		all = append(all, decode(b.records)...)
	}
	return all
}

func text(f Flight) string {
	var b strings.Builder
	_ = f.Write(&b)
	return b.String()
}

// The recorder of a box with a real accelerator is killed: its flight is there at the next start. After a clean end there
// is none.
func TestFlightOfARunThatWasCut(t *testing.T) {
	a := supervised.Start(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RECORD_IN="+dir, "RECORD_BOOT="+first, "RECORD_SOCKET="+a.Socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	defer func() {
		if !killed {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	wait(t, "samples of the accelerator", func() bool { return strings.Contains(text(Flight{Records: onDisk(t, dir)}), "accelerator: cpu") })
	const requests = 7
	for range requests {
		answer, err := http.Get("http://" + a.Listen + "/")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	counted := func(all []Record) (n float64) {
		for _, rec := range all {
			if rec.Sample != nil {
				n += rec.Sample.Counts["connections_accepted"] + rec.Sample.Counts[`requests{outcome="static"}`]
			}
		}
		return n
	}
	wait(t, "the requests", func() bool { return counted(onDisk(t, dir)) >= requests })
	killed = true
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	r := in(dir, second)
	end := run(t, r)
	wait(t, "the flight", func() bool { return r.Status().LastRun != nil })
	s := r.Status()
	if s.LastRun.Clean || s.LastRun.Boot != first || s.LastRun.Flight != 1 || len(s.Flights) != 1 || time.Since(s.LastRun.Ended) > time.Hour {
		t.Fatalf("%+v of %+v", s, s.LastRun)
	}
	f, err := r.Read(1)
	if err != nil {
		t.Fatal(err)
	}
	if n := counted(f.Records); n < requests {
		t.Errorf("%v requests were recorded", n)
	}
	for _, want := range []string{"no clean end", "** config: gokrazy from 192.0.2.1: a change is tried", "accelerator: a line of the log", "the machine was started, version test"} {
		if !strings.Contains(text(f), want) {
			t.Errorf("there is no %q in:\n%s", want, text(f))
		}
	}
	if g := s.Newest; g == nil || !strings.Contains(g.Metrics, "cpu") || len(g.Events) < 2 || len(g.Log) != 1 {
		t.Errorf("the glimpse is %+v", g)
	}
	end()

	r = in(dir, third)
	run(t, r)
	wait(t, "the clean end", func() bool { return r.Status().LastRun != nil })
	if s := r.Status(); !s.LastRun.Clean || s.LastRun.Boot != second || len(s.Flights) != 1 {
		t.Errorf("%+v of %+v", s, s.LastRun)
	}
}

// A program that crashes leaves a flight, and is not taken for a start of the machine.
func TestStartedAgain(t *testing.T) {
	dir := t.TempDir()
	r := in(dir, first)
	r.Note("config", "", "before the crash")
	r.write() // And no more: this one is dead.
	r = in(dir, first)
	end := run(t, r)
	wait(t, "the crash", func() bool { s := r.Status(); return len(s.Flights) == 1 && s.LastRun != nil && s.LastRun.Clean })
	if f, err := r.Read(1); err != nil || !strings.Contains(f.Why, "crash") || !strings.Contains(text(f), "before the crash") {
		t.Errorf("%v:\n%s", err, text(f))
	}
	end()
	r = in(dir, first)
	end = run(t, r)
	wait(t, "the start", func() bool { return r.Status().LastRun != nil })
	end()
	if s := r.Status(); len(s.Flights) != 1 {
		t.Errorf("a clean end of the program has left a flight: %+v", s.Flights)
	}
}

// What is kept is bounded in time and in number.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	r := in(dir, first)
	r.write()
	now := uptime().Milliseconds()
	for i, up := range []int64{now - span.Milliseconds() - 60_000, now - 1000} {
		rec := Record{Time: time.Now().UnixMilli(), Up: up, Event: &Event{Kind: "config", Text: fmt.Sprintf("event %d", i)}}
		if err := r.ring.append(rec.encode()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range keepFlights + 3 {
		r.Note("config", "", fmt.Sprintf("flight %d", i))
		r.write()
		r.keepNow(fmt.Sprintf("reason %d", i))
	}
	all, err := r.List()
	if err != nil || len(all) != keepFlights || all[0].ID != keepFlights+3 || all[0].Why != fmt.Sprintf("reason %d", keepFlights+2) {
		t.Errorf("%d flights, %v: %+v", len(all), err, all)
	}
	f, err := r.Read(all[0].ID)
	if err != nil || strings.Contains(text(f), "event 0") || !strings.Contains(text(f), "event 1") {
		t.Errorf("%v:\n%s", err, text(f))
	}
	if _, err := r.Read(1); !errors.Is(err, ErrNone) {
		t.Errorf("the first flight: %v", err)
	}
}

// An error is on the disk when the call that logs it returns.
func TestErrorsAtOnce(t *testing.T) {
	dir := t.TempDir()
	r := in(dir, first)
	log := slog.New(r.Handler(slog.DiscardHandler)).With("who", "me")
	log.Info("nothing")
	if slog.New(r.Handler(slog.NewTextHandler(io.Discard, nil))).Error("the machine is started anew", "because", "x"); true {
		got := text(Flight{Records: onDisk(t, dir)})
		if !strings.Contains(got, "** error: the machine is started anew because=x") {
			t.Errorf("not on the disk:\n%s", got)
		}
	}
}

// What can be written in a minute is less than 1 MB, whatever goes on: measured by the kernel's own count of what this
// process has had written to the disk.
func TestBytesOfAMinute(t *testing.T) {
	dir := t.TempDir()
	r := in(dir, first)
	r.write()
	written := func() int64 {
		all, err := os.ReadFile("/proc/self/io")
		if err != nil {
			t.Skip(err)
		}
		_, rest, _ := strings.Cut(string(all), "\nwrite_bytes: ")
		n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	minute := func(flood int) int64 {
		before := written()
		for turn := range 30 { // of 2 s
			for second := range 2 {
				s := &Sample{CPU: 12.5, Free: 800, Counts: map[string]float64{}}
				for i := range maxSeries {
					s.Counts[fmt.Sprintf(`forward_events{event="%d",pool="default"}`, i)] = float64(turn + second)
				}
				r.add(Record{Sample: s})
			}
			for i := range flood {
				r.Heard("accelerator", strings.Repeat("x", 200)+fmt.Sprint(turn, i))
				r.Note("warning", "", strings.Repeat("y", 500)+fmt.Sprint(turn, i))
			}
			r.write()
		}
		return written() - before
	}
	calm, storm := minute(0), minute(1000)
	t.Logf("%d bytes in a calm minute, %d in a storm", calm, storm)
	if calm == 0 {
		t.Skip("this file system does not count")
	}
	if calm > 400_000 || storm > 700_000 { // The rest of 1 MB is for the logs.
		t.Errorf("%d bytes in a calm minute, %d in a storm", calm, storm)
	}
	if got := text(Flight{Records: onDisk(t, dir)}); !strings.Contains(got, "records were left out") {
		t.Error("nothing tells that records are missing")
	}
	if len(r.queue) > maxQueue {
		t.Errorf("%d records wait", len(r.queue))
	}
}

// A disk that takes nothing costs what happens meanwhile, and no more.
func TestDiskComesBack(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := in(dir, first)
	run(t, r)
	r.Note("config", "", "while there was no disk")
	time.Sleep(50 * time.Millisecond) // A few turns fail; none is needed.
	if err := os.Remove(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	wait(t, "the ring", func() bool { _, err := os.Stat(r.Ring); return err == nil })
	wait(t, "the event", func() bool {
		return strings.Contains(text(Flight{Records: onDisk(t, dir)}), "while there was no disk")
	})
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	r := in(dir, first)
	r.write()
	mux := http.NewServeMux()
	mux.Handle("GET /flights", r)
	mux.Handle("GET /flights/{id}", r)
	mux.Handle("/", r.Asked("gokrazy", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })))
	server := httptest.NewServer(mux)
	defer server.Close()
	ask := func(method, path, accept string) (int, string) {
		request, err := http.NewRequest(method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", accept)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	ask("PUT", "/config?x=1", "")
	ask("GET", "/nothing", "")
	r.write()
	r.keepNow("a test")
	for _, test := range []struct {
		path, accept string
		status       int
		want         string
	}{
		{"/flights/2", "", 404, "no such flight"},
		{"/flights/x", "", 404, "no such flight"},
		{"/flights/..%2f1", "", 404, "no such flight"},
		{"/flights", "", 200, "a test"},
		{"/flights", "application/json", 200, `"why":"a test"`},
		{"/flights/1", "application/json", 200, `"why":"a test"`},
		{"/flights/1", "", 200, "** asked: gokrazy from 127.0.0.1: PUT /config?x=1 at port "},
		{"/flights/1", "", 200, ": 418\n"},
	} {
		if status, text := ask("GET", test.path, test.accept); status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("GET %s %s: %d, want %d and %q:\n%s", test.path, test.accept, status, test.status, test.want, text)
		}
	}
	if _, text := ask("GET", "/flights/1", ""); strings.Contains(text, "/nothing") {
		t.Error("what changes nothing is recorded")
	}
}

// An accelerator that ends leaves a flight, unless its end was expected.
func TestAcceleratorEnds(t *testing.T) {
	a := supervised.Start(t)
	r := in(t.TempDir(), first)
	r.Socket = a.Socket
	expected := make(chan bool, 100)
	r.Expected = func() bool { return <-expected }
	run(t, r)
	again := func(n int) func() bool {
		return func() bool {
			r.disk.Lock()
			defer r.disk.Unlock()
			if r.ring == nil {
				return false
			}
			all, err := r.ring.read()
			var records []Record
			for _, b := range all {
				records = append(records, decode(b.records)...)
			}
			got := text(Flight{Records: records})
			return err == nil && strings.Count(got, "the accelerator was started again") >= n && strings.HasSuffix(strings.TrimSpace(got), "") && strings.Contains(got, "accelerator: cpu")
		}
	}
	wait(t, "the accelerator is seen", again(0))
	expected <- true
	a.Kill()
	wait(t, "it is seen again", again(1))
	if all, _ := r.List(); len(all) != 0 {
		t.Errorf("an end that was expected has left %+v", all)
	}
	expected <- false
	a.Kill()
	wait(t, "a flight", func() bool {
		all, _ := r.List()
		return len(all) == 1 && strings.Contains(all[0].Why, "accelerator has ended")
	})
}
