package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ramjet/appliance/configuration/supervised"
	"ramjet/appliance/health"
	"ramjet/appliance/process"
)

func TestMain(m *testing.M) {
	status := m.Run()
	supervised.Remove()
	os.Exit(status)
}

// patience is for what takes a moment on a machine that has nothing else to do.
const patience = time.Minute

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name string
		e    evidence
		want verdict
	}{
		{"silent", evidence{took: timeout}, hangs},
		{"silent, and its admin socket speaks", evidence{took: timeout, admin: true}, hangs},
		{"silent, and uses the processor", evidence{took: timeout, cpu: 2 * timeout}, spins},
		{"stopped, whatever else", evidence{took: timeout, stopped: true, cpu: timeout, admin: true, work: true}, hangs},
		{"has no time for this one", evidence{took: timeout, admin: true, work: true, cpu: timeout}, busy},
		{"has no room for this one", evidence{took: timeout, admin: true, full: true}, busy},
		{"the machine has no time", evidence{took: 2 * timeout, late: true}, unclear},
		{"nobody listens", evidence{refused: true}, absent},
		{"answers", evidence{answered: true}, well},
	} {
		if got := judge(test.e); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// What the README says of the time that a hang lasts.
func TestCount(t *testing.T) {
	for _, test := range []struct {
		name   string
		probes []verdict
		want   bool
	}{
		{"four", []verdict{hangs, hangs, hangs, hangs}, false},
		{"five", []verdict{hangs, hangs, hangs, hangs, hangs}, true},
		{"not in a row", []verdict{hangs, hangs, hangs, hangs, well, hangs}, false},
		{"one that was busy in between", []verdict{hangs, hangs, hangs, hangs, busy, hangs}, false},
		{"one that says nothing in between", []verdict{hangs, hangs, hangs, hangs, unclear, hangs}, true},
		{"five with the processor in use", []verdict{spins, spins, spins, spins, spins}, false},
		{"eight of them", []verdict{spins, spins, spins, spins, spins, spins, spins, spins}, true},
	} {
		var c count
		ends := false
		for _, v := range test.probes {
			ends = c.add(v)
		}
		if ends != test.want {
			t.Errorf("%s: ends it: %v", test.name, ends)
		}
	}
	if longest := every + enoughSpinning*timeout; longest >= 30*time.Second {
		t.Errorf("a hang may last %v", longest)
	}
}

// log is a log that can be read meanwhile.
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

// run runs a watcher until the end of the test, and returns its log.
func run(t *testing.T, w *Watcher) *log {
	t.Helper()
	l := new(log)
	w.Log = slog.New(slog.NewTextHandler(l, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the watcher said:\n%s", l)
		}
	})
	return l
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func answers(address string) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/index.html")
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func pid(t *testing.T, a *supervised.Accelerator) int {
	t.Helper()
	id, err := process.OfSocket(a.Socket)
	if err != nil {
		t.Fatal(err)
	}
	return id.PID
}

func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// One that is stopped is ended within 30 s of its stop, and the next one serves; with the times of the box.
func TestHang(t *testing.T) {
	a := supervised.Start(t)
	until(t, "it serves", func() bool { return answers(a.Listen) })
	w := &Watcher{Socket: a.Socket, Program: "accelerator", Listen: a.Listen}
	run(t, w)
	until(t, "a probe passes", func() bool { return w.Notes()[0].State == health.OK })
	first := pid(t, a)
	stop(t, first)
	begun := time.Now()
	until(t, "it is ended", func() bool { return a.Count() > 1 })
	took := time.Since(begun)
	t.Logf("ended after %v", took)
	if took > 30*time.Second {
		t.Errorf("it was ended after %v", took)
	}
	until(t, "the next one serves", func() bool { return answers(a.Listen) })
	until(t, "it is said", func() bool {
		c := w.Notes()[0]
		return c.State == health.OK && strings.Contains(c.Detail, "ended 1 times")
	})
}

// One that has no room for the probe is left alone: its connections are used up, and then also the kernel's queue.
func TestFull(t *testing.T) {
	a := supervised.Start(t)
	config := `{"limits": {"connections": 20, "idle_time": "10m", "head_time": "10m"}}`
	if err := os.WriteFile(a.Config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	until(t, "it has the limit", func() bool {
		o, err := ask(t.Context(), a.Socket)
		return err == nil && !o.full && a.Count() == 2 && answers(a.Listen)
	})
	w := &Watcher{Socket: a.Socket, Program: "accelerator", Listen: a.Listen, Every: 10 * time.Millisecond, Timeout: 600 * time.Millisecond}
	log := run(t, w)
	until(t, "a probe passes", func() bool { return w.Notes()[0].State == health.OK })
	first := pid(t, a)
	for range 40 {
		conn, err := net.Dial("tcp", a.Listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\n")
	}
	until(t, "a probe finds it busy", func() bool { return strings.Contains(log.String(), "probe=busy") })
	time.Sleep(2 * enoughSpinning * w.Timeout) // As long as it takes to end one that hangs, and as long again.
	if now := pid(t, a); now != first || a.Count() != 2 {
		t.Errorf("it was ended:\n%s", log)
	}
}

// What hangs again and again is not ended for ever.
func TestEscalate(t *testing.T) {
	a := supervised.Start(t)
	until(t, "it serves", func() bool { return answers(a.Listen) })
	asked := make(chan string, 10)
	w := &Watcher{Socket: a.Socket, Program: "accelerator", Listen: a.Listen, Every: 10 * time.Millisecond, Timeout: 600 * time.Millisecond, Ends: 2,
		Escalate: func(_ context.Context, why string) error { asked <- why; return nil }}
	run(t, w)
	for n := range 3 {
		until(t, "it serves", func() bool { return a.Count() == n+1 && answers(a.Listen) })
		stop(t, pid(t, a))
		if n < 2 {
			until(t, "it is ended", func() bool { return a.Count() == n+2 })
		}
	}
	select {
	case why := <-asked:
		if !strings.Contains(why, "ended 2 times in 10m0s") {
			t.Error(why)
		}
	case <-time.After(patience):
		t.Fatal("nobody was asked for the next step")
	}
	if a.Count() != 3 {
		t.Errorf("it was started %d times", a.Count())
	}
}

// older is a version to fall back to.
type older struct {
	trial bool  // the one that runs is on trial
	none  error // there is no older one
	did   chan string
}

func (o *older) GiveUp(why string) error {
	if !o.trial {
		return errors.New("no version is on trial")
	}
	o.did <- "given up: " + why
	return nil
}

func (o *older) FallBack(_ context.Context, why string) error {
	if o.none == nil {
		o.did <- "fell back: " + why
	}
	return o.none
}

// A real accelerator hangs again and again: what is done then is the first step that is possible.
func TestSteps(t *testing.T) {
	none := errors.New("there is none")
	for _, test := range []struct {
		name     string
		versions *older
		allowed  bool
		want     string
	}{
		{"on trial", &older{trial: true}, true, "given up: the accelerator hangs"},
		{"on trial, on somebody else's machine", &older{trial: true}, false, "given up: the accelerator hangs"},
		{"an older version", &older{}, true, "fell back: the accelerator hangs"},
		{"no older version", &older{none: none}, true, "rebooted"},
		{"no versions", nil, true, "rebooted"},
		{"an older version, on somebody else's machine", &older{}, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := supervised.Start(t)
			did := make(chan string, 10)
			e := &Escalation{Log: slog.New(slog.DiscardHandler), Reboot: &Reboot{
				File: filepath.Join(a.Dir, "reboot.json"), Allowed: test.allowed, restart: func() error { did <- "rebooted"; return nil },
				uptime: func() time.Duration { return time.Minute },
			}}
			if test.versions != nil {
				test.versions.did = did
				e.Versions = test.versions
			}
			w := &Watcher{Socket: a.Socket, Program: "accelerator", Listen: a.Listen, Every: 10 * time.Millisecond, Timeout: 300 * time.Millisecond, Ends: 1, Escalate: e.Escalate}
			log := run(t, w)
			until(t, "a probe passes", func() bool { return w.Notes()[0].State == health.OK })
			stop(t, pid(t, a))
			until(t, "it is ended", func() bool { return a.Count() == 2 && answers(a.Listen) })
			stop(t, pid(t, a))
			if test.want == "" {
				until(t, "it is said", func() bool { return strings.Contains(log.String(), "this machine may not be rebooted") })
				if len(did) != 0 {
					t.Error(<-did)
				}
				return
			}
			select {
			case got := <-did:
				if !strings.HasPrefix(got, test.want) {
					t.Error(got)
				}
			case <-time.After(patience):
				t.Fatal("nothing was done")
			}
			if test.want == "rebooted" { // And not again, within the hour.
				if err := e.Escalate(t.Context(), "it hangs"); err == nil || len(did) != 0 {
					t.Errorf("once more: %v", err)
				}
			}
		})
	}
}

// One that is gone for good is handed on, if it had been there, and unless somebody stopped it.
func TestGone(t *testing.T) {
	a := supervised.Start(t)
	asked := make(chan string, 10)
	var stopped atomic.Bool
	stopped.Store(true)
	never := supervised.FreeAddress(t)
	w := &Watcher{Socket: filepath.Join(a.Dir, "none"), Program: "accelerator", Listen: never, Every: 10 * time.Millisecond, Gone: 200 * time.Millisecond,
		Stopped:  func(context.Context) bool { return stopped.Load() },
		Escalate: func(_ context.Context, why string) error { asked <- why; return nil }}
	log := run(t, w)
	until(t, "nobody listens", func() bool { return w.Notes()[0].Detail == "nobody listens" })
	l, err := net.Listen("tcp", never)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	until(t, "a probe passes", func() bool { return w.Notes()[0].State == health.OK })
	if len(asked) != 0 {
		t.Error("one that never was there is missed")
	}
	l.Close()
	until(t, "nobody listens any more", func() bool { return w.Notes()[0].Detail == "nobody listens" })
	time.Sleep(5 * w.Gone) // Nothing happens in this time, and that is the point.
	if len(asked) != 0 {
		t.Errorf("one that was stopped is missed: %s", log)
	}
	stopped.Store(false)
	select {
	case why := <-asked:
		if !strings.Contains(why, "does not come back") {
			t.Error(why)
		}
	case <-time.After(patience):
		t.Fatal("it is not missed")
	}
}

// Somebody else on the port is not ended, whatever it does.
func TestSomebodyElse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // Nobody accepts, as if it hung: this very process.
	w := &Watcher{Socket: filepath.Join(t.TempDir(), "none"), Program: "accelerator", Listen: l.Addr().String(), Every: 10 * time.Millisecond, Timeout: 100 * time.Millisecond}
	log := run(t, w)
	until(t, "it is found out", func() bool { return strings.Contains(log.String(), "and that is not accelerator") })
}

func TestReboot(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(t time.Time) string { return fmt.Sprintf(`{"time": %q, "why": "it hung"}`, t.Format(time.RFC3339)) }
	for _, test := range []struct {
		name string
		last string
		now  time.Time
		up   time.Duration
		due  bool
	}{
		{"never before", "", now, time.Minute, true},
		{"a moment ago", at(now.Add(-time.Minute)), now, time.Minute, false},
		{"an hour ago", at(now.Add(-time.Hour)), now, time.Minute, true},
		{"in the future, soon", at(now.Add(time.Minute)), now, time.Minute, false},
		{"before the clock was set", at(time.Unix(100, 0)), now, time.Minute, false},
		{"while it is not set", at(now.Add(-time.Hour)), time.Unix(100, 0), time.Minute, false},
		{"an hour of this boot", at(now), time.Unix(100, 0), time.Hour, true},
		{"who knows", "{", now, time.Minute, false},
	} {
		r := &Reboot{File: filepath.Join(t.TempDir(), "reboot.json"), uptime: func() time.Duration { return test.up }}
		if test.last != "" {
			if err := os.WriteFile(r.File, []byte(test.last), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.due(test.now); (err == nil) != test.due {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	restarts := 0
	r := &Reboot{File: filepath.Join(t.TempDir(), "dir", "reboot.json"), uptime: func() time.Duration { return time.Minute }, restart: func() error { restarts++; return nil }}
	if err := r.Escalate(t.Context(), "it hung"); err == nil || restarts != 0 {
		t.Errorf("a machine that is somebody else's: %v", err)
	}
	r.Allowed = true
	if err := r.Escalate(t.Context(), "it hung"); err != nil || restarts != 1 {
		t.Errorf("the first: %v, %d restarts", err, restarts)
	}
	if err := r.Escalate(t.Context(), "it hung again"); err == nil || restarts != 1 || !strings.Contains(err.Error(), "because it hung") {
		t.Errorf("the second: %v, %d restarts", err, restarts)
	}
}

// No device, or something else in its place, is said and does no harm.
func TestNoDog(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"none": "no second watchdog", "file": "inappropriate ioctl"} {
		d := &Dog{Path: filepath.Join(dir, name)}
		log := slog.New(slog.DiscardHandler)
		d.feed(log)
		d.arm(log)
		d.arm(log)
		d.feed(log)
		if c := d.note(); c.State != health.Unknown || !strings.Contains(c.Detail, want) {
			t.Errorf("%s: %+v", name, c)
		}
		d.release()
	}
}
