package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/appliance/durable"
)

// program is what reads the file: it takes every text but one, while it is up.
type program struct {
	mu     sync.Mutex
	file   string
	uses   string // the text at work; "(none)" if there is no file
	down   bool
	refuse string
}

func (p *program) apply(context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := durable.Read(p.file)
	switch {
	case err != nil:
		return "", err
	case p.down:
		return "", errors.New("it is down")
	case string(text) == p.refuse && p.refuse != "":
		return "", errors.New("it refuses")
	}
	p.uses = string(text)
	if text == nil {
		p.uses = "(none)"
	}
	return "uses " + p.uses, nil
}

func (p *program) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// bench is a directory with a file, its program and, while it runs, a desk.
type bench struct {
	*Desk
	t       *testing.T
	dir     string
	subject *Subject
	program *program
	stop    func()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	file := filepath.Join(b.dir, "file")
	b.program = &program{file: file, refuse: "refused"}
	b.subject = &Subject{Name: "config", File: file, Apply: b.program.apply, Check: func(_ context.Context, text []byte) error {
		if strings.Contains(string(text), "wrong") {
			return errors.New("file:1:1: it is wrong")
		}
		return nil
	}}
	return b
}

// start is the start of the program that has the desk.
func (b *bench) start() {
	b.t.Helper()
	b.Desk = &Desk{Dir: filepath.Join(b.dir, "state", "deep"), Subjects: []*Subject{b.subject}, Log: slog.New(slog.DiscardHandler), Patience: 30 * time.Second}
	if err := b.Open(); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(b.stop)
}

func (b *bench) change(text string, within time.Duration) (Trial, error) {
	return b.Begin(b.t.Context(), Change{Subject: b.subject, Text: []byte(text), Who: "ann", From: "192.0.2.1", Within: within})
}

func (b *bench) must(text string, within time.Duration) Trial {
	b.t.Helper()
	tr, err := b.change(text, within)
	if err != nil {
		b.t.Fatal(err)
	}
	return tr
}

// waitEnd waits until there is no trial.
func (b *bench) waitEnd() {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if _, on := b.Current(); !on {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal("the trial does not end")
		}
	}
}

// want checks the file, what is at work, and the newest entry.
func (b *bench) want(text string, how How, why string) {
	b.t.Helper()
	got, err := durable.Read(b.subject.File)
	if text == "(none)" && (err != nil || got != nil) || text != "(none)" && (err != nil || string(got) != text) {
		b.t.Errorf("the file is %q, %v; want %q", got, err, text)
	}
	b.program.mu.Lock()
	if b.program.uses != text {
		b.t.Errorf("at work is %q, want %q", b.program.uses, text)
	}
	b.program.mu.Unlock()
	all, err := b.History(b.subject)
	if err != nil || len(all) == 0 {
		b.t.Fatalf("no history: %v", err)
	}
	if e := all[0]; e.How != how || !strings.Contains(e.Why, why) || e.Who != "ann" || e.From != "192.0.2.1" {
		b.t.Errorf("the newest entry is %+v", e)
	}
	if record, err := durable.Read(b.recordFile()); err != nil || record != nil {
		b.t.Errorf("a record is left: %s, %v", record, err)
	}
}

func TestConfirmed(t *testing.T) {
	b := newBench(t)
	b.start()
	begun := time.Now()
	tr := b.must("new", time.Hour)
	if tr.State != Waiting || tr.Said != "uses new" || time.Until(tr.Until) < 50*time.Minute {
		t.Errorf("%+v", tr)
	}
	for _, test := range []struct {
		name, who string
		since     time.Time
		want      error
	}{
		{"the connection of the change", "ann", begun, ErrConnection},
		{"somebody else", "bob", time.Now(), ErrNotYours},
	} {
		if _, err := b.Confirm(b.subject, test.who, test.since); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := b.change("other", time.Hour); err == nil || !errors.As(err, new(Busy)) || !strings.Contains(err.Error(), "ann") || !strings.Contains(err.Error(), "until ") {
		t.Errorf("two at a time: %v", err)
	}
	if _, err := b.Confirm(b.subject, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	b.want("new", Confirmed, "")
	if _, err := b.Confirm(b.subject, "ann", time.Now()); !errors.Is(err, ErrNone) {
		t.Errorf("twice: %v", err)
	}
	b.stop()
	b.start() // It stays.
	b.want("new", Confirmed, "")
}

func TestNotConfirmed(t *testing.T) {
	b := newBench(t)
	b.start()
	b.must("new", 30*time.Millisecond)
	b.waitEnd()
	b.want("(none)", Reverted, "not confirmed within 30ms")

	b.must("new", time.Hour)
	if err := b.Revert(b.subject, "bob"); !errors.Is(err, ErrNotYours) {
		t.Errorf("somebody else takes it back: %v", err)
	}
	if err := b.Revert(b.subject, "ann"); err != nil {
		t.Fatal(err)
	}
	b.waitEnd()
	b.want("(none)", Reverted, "taken back by ann")
}

func TestMistakes(t *testing.T) {
	b := newBench(t)
	b.start()
	b.must("good", time.Hour)
	if _, err := b.Confirm(b.subject, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.change("wrong", time.Hour); err == nil || !errors.As(err, new(Mistake)) || !strings.Contains(err.Error(), "file:1:1") {
		t.Errorf("a wrong text: %v", err)
	}
	if _, err := b.change("good", time.Hour); !errors.Is(err, ErrSame) {
		t.Errorf("the same text: %v", err)
	}
	_, err := b.Begin(t.Context(), Change{Subject: b.subject, Text: []byte("new"), Who: "ann", Match: func(now []byte) bool { return string(now) == "seen" }})
	if !errors.Is(err, ErrChanged) {
		t.Errorf("another text than the one seen: %v", err)
	}
	if _, err := b.change("refused", time.Hour); err == nil || !errors.As(err, new(Refused)) || !strings.Contains(err.Error(), "it refuses") {
		t.Errorf("one that cannot be put to work: %v", err)
	}
	b.waitEnd()
	b.want("good", Reverted, "it refuses")
}

// The desk of a program that was ended, by whatever means, with a trial on: the next one takes it back, even if what
// reads the file is not up yet.
func TestCutOff(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(b.subject.File, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.must("new", time.Hour)
	b.stop()
	b.program.set(true)
	b.start()
	if text, err := os.ReadFile(b.subject.File); err != nil || string(text) != "old" {
		t.Errorf("at the start the file is %q, %v", text, err)
	}
	if tr, on := b.Current(); !on || tr.State != Ending {
		t.Errorf("%+v, %v", tr, on)
	}
	if _, err := b.change("more", time.Hour); !errors.As(err, new(Busy)) {
		t.Errorf("a change meanwhile: %v", err)
	}
	b.program.set(false)
	b.waitEnd()
	b.want("old", Reverted, "started anew")
	if info, err := os.Stat(b.subject.File); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("its mode: %v, %v", info.Mode(), err)
	}
}

// Every step after which the power may fail has a record of its own on the disk, and a state that follows from it.
func TestSteps(t *testing.T) {
	for _, test := range []struct {
		name       string
		file       string // as the power cut leaves it
		record     string
		want       string
		how        How
		everBroken bool
	}{
		{"the record, not the file", "old", `{"old": "b2xk", "new": "bmV3"}`, "old", Reverted, false},
		{"the record and the file", "new", `{"old": "b2xk", "new": "bmV3"}`, "old", Reverted, false},
		{"the same, and there was no file", "new", `{"old": null, "new": "bmV3"}`, "(none)", Reverted, false},
		{"the same, and it was empty", "new", `{"old": "", "new": "bmV3"}`, "", Reverted, false},
		{"confirmed, the history not complete", "new", `{"old": "b2xk", "new": "bmV3", "kept": true}`, "new", Confirmed, false},
		{"a record that cannot be read", "new", `{"old`, "new", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			dir := filepath.Join(b.dir, "state", "deep")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			record := []byte(test.record)
			var r recordOnDisk
			if json.Unmarshal(record, &r) == nil {
				r.Subject, r.ID, r.Who, r.From = "config", 7, "ann", "192.0.2.1"
				var err error
				if record, err = json.Marshal(r); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range map[string][]byte{b.subject.File: []byte(test.file), filepath.Join(dir, "trial.json"): record} {
				if err := os.WriteFile(name, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b.start()
			b.waitEnd()
			if test.everBroken {
				if text, err := os.ReadFile(b.subject.File); err != nil || string(text) != test.want {
					t.Errorf("%q, %v", text, err)
				}
				b.must("more", time.Hour) // The desk works.
				return
			}
			if test.how == Confirmed {
				_, _ = b.program.apply(t.Context()) // It has read the file at its own start.
			}
			b.want(test.want, test.how, "")
			if all, err := b.History(b.subject); err != nil || len(all) != 1 || all[0].ID != 7 {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

type recordOnDisk = record // The name is taken by its text.

// What cannot be put to work again does not stop the desk for ever.
func TestPatience(t *testing.T) {
	b := newBench(t)
	b.start()
	b.Patience = time.Millisecond
	b.must("new", time.Hour)
	b.program.set(true)
	if err := b.Revert(b.subject, "ann"); err != nil {
		t.Fatal(err)
	}
	b.waitEnd()
	if all, err := b.History(b.subject); err != nil || !strings.Contains(all[0].Why, "could not be put to work: it is down") {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestHistory(t *testing.T) {
	b := newBench(t)
	b.start()
	if err := os.WriteFile(b.subject.File, []byte("by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range keepEntries + 3 {
		b.must(fmt.Sprint(n), time.Hour)
		if _, err := b.Confirm(b.subject, "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if e, text, err := b.Entry(b.subject, 1); err != nil || e.How != Found || string(text) != "by hand" {
				t.Errorf("what was there before: %+v %q %v", e, text, err)
			}
		}
	}
	all, err := b.History(b.subject)
	if err != nil || len(all) != keepEntries || all[0].ID != keepEntries+4 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	if e, text, err := b.Entry(b.subject, all[1].ID); err != nil || e.How != Confirmed || string(text) != fmt.Sprint(keepEntries+1) {
		t.Errorf("%+v %q %v", e, text, err)
	}
	for _, id := range []int{0, 1, -1, all[0].ID + 1} {
		if _, _, err := b.Entry(b.subject, id); !errors.Is(err, ErrNoEntry) {
			t.Errorf("%d: %v", id, err)
		}
	}
}

// A subject that cuts answers before it is applied.
func TestCuts(t *testing.T) {
	b := newBench(t)
	b.subject.Cuts = true
	b.start()
	begun := time.Now()
	if tr := b.must("new", time.Hour); tr.State != Applying {
		t.Errorf("%+v", tr)
	}
	if _, err := b.Confirm(b.subject, "ann", time.Now()); !errors.Is(err, ErrNotYet) && err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if tr, _ := b.Current(); tr.State == Waiting {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%+v", tr)
		}
	}
	if _, err := b.Confirm(b.subject, "ann", begun); !errors.Is(err, ErrConnection) {
		t.Errorf("over a connection of before: %v", err)
	}
	if _, err := b.Confirm(b.subject, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	b.want("new", Confirmed, "")
}
