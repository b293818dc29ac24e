package trial

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ramjet/appliance/durable"
)

// Subject is a file that can be changed, and what else a change takes.
type Subject struct {
	Name string // in history and messages, such as "config"
	File string
	// Check says what is wrong with a text, before anything is touched.
	Check func(ctx context.Context, text []byte) error
	// Apply puts the file, as it is, to work, and says what happened. An error takes the change back. It may be called
	// for the same file more than once.
	Apply func(ctx context.Context) (string, error)
	// Cuts is true if Apply may cut off whoever asked for the change: he has his answer before.
	Cuts bool
}

// Change is what somebody wants.
type Change struct {
	Subject *Subject
	Text    []byte                // nil: no such file
	Match   func(now []byte) bool // nil: whatever there is
	Who     string                // who may confirm it
	From    string                // his address
	Note    string
	Within  time.Duration // the time to confirm it
}

// Trial is a change that is not confirmed yet.
type Trial struct {
	Subject string    `json:"subject"`
	ID      int       `json:"id"` // of its entry in the history, once it has ended
	Who     string    `json:"who"`
	From    string    `json:"from,omitempty"`
	Note    string    `json:"note,omitempty"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero until it has been put to work
	Said    string    `json:"said,omitempty"` // by what put it to work
	State   State     `json:"state"`
}

// State is how far a trial is.
type State string

const (
	Applying State = "being applied"
	Waiting  State = "waiting for its confirmation"
	Ending   State = "being reverted"
)

// The answers to what cannot be done.
var (
	ErrNone       = errors.New("there is nothing to confirm or to revert")
	ErrNotYours   = errors.New("somebody else began this")
	ErrNotYet     = errors.New("it is not at work yet, or not any more; look at its state")
	ErrConnection = errors.New("confirm over a new connection, begun after the change was put to work: that is the proof that the box can still be reached")
	ErrChanged    = errors.New("somebody else changed it since you looked; look again")
	ErrSame       = errors.New("nothing would change")
)

// Busy is the answer to a change while another one is on.
type Busy struct{ Trial }

func (b Busy) Error() string {
	text := fmt.Sprintf("a change of %s by %s is %s", b.Subject, b.Who, b.State)
	if b.State == Waiting {
		text += ", until " + b.Until.UTC().Format(time.RFC3339)
	}
	return text + "; try again then"
}

// Mistake is a text that cannot be tried. Nothing was touched.
type Mistake struct{ Err error }

func (m Mistake) Error() string { return m.Err.Error() }
func (m Mistake) Unwrap() error { return m.Err }

// Refused is a change that could not be put to work, and that is taken back.
type Refused struct{ Err error }

func (r Refused) Error() string { return "taken back: " + r.Err.Error() }
func (r Refused) Unwrap() error { return r.Err }

// Desk holds the one trial that there is at a time, of any of its subjects, and their histories. It is a task.
type Desk struct {
	// Dir is where the record and the histories are.
	Dir      string
	Subjects []*Subject
	// ApplyTime bounds one attempt to put a file to work; 0 means 40 s.
	ApplyTime time.Duration
	// Patience is how long the old state is tried to be put to work, once a second; 0 means 2 minutes. What is to be told
	// of it may be just starting, and then it reads the file itself.
	Patience time.Duration
	// Pause is how long a subject that cuts waits, so that the answer gets out; 0 means 500 ms.
	Pause time.Duration
	// Ended, if there is one, is called after each end.
	Ended func(Entry)
	Log   *slog.Logger // nil means slog.Default()

	mu      sync.Mutex
	broken  error           // guarded by mu: why nothing can be changed
	now     *current        // guarded by mu: nil if there is no trial
	wake    chan struct{}   // has a value if there is something for Run to look at; made by Open
	base    context.Context // ends with Run
	stop    context.CancelFunc
	running sync.WaitGroup
}

// current is the trial at hand.
type current struct {
	Trial
	subject *Subject
	record  record
	applied time.Time // when it was put to work; by the clock that never jumps
	within  time.Duration
	why     string // set when it is to be taken back
}

// record is what survives.
type record struct {
	Subject string    `json:"subject"`
	ID      int       `json:"id"`
	Who     string    `json:"who"`
	From    string    `json:"from,omitempty"`
	Note    string    `json:"note,omitempty"`
	Since   time.Time `json:"since"`
	Old     []byte    `json:"old"` // null: there was none
	New     []byte    `json:"new"`
	Kept    bool      `json:"kept"`
	Said    string    `json:"said,omitempty"`
}

// String names the task.
func (d *Desk) String() string { return "trial" }

func (d *Desk) log() *slog.Logger { return cmp.Or(d.Log, slog.Default()) }

func (d *Desk) recordFile() string { return filepath.Join(d.Dir, "trial.json") }

func (d *Desk) subject(name string) *Subject {
	for _, s := range d.Subjects {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Open reads the record of a trial that was cut off, and writes the old text back at once. It comes before everything
// else. After an error nothing can be changed.
func (d *Desk) Open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake = make(chan struct{}, 1)
	d.base, d.stop = context.WithCancel(context.Background())
	d.broken = d.open()
	return d.broken
}

func (d *Desk) open() error {
	if err := durable.MakeDir(d.Dir); err != nil {
		return err
	}
	text, err := durable.Read(d.recordFile())
	if err != nil || text == nil {
		return err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		aside := d.recordFile() + ".broken"
		d.log().Error("the record of a trial cannot be read; what it was about stays as it is", "moved to", aside, "err", err)
		return errors.Join(os.Rename(d.recordFile(), aside), durable.SyncDir(d.Dir))
	}
	s := d.subject(r.Subject)
	if s == nil {
		return fmt.Errorf("%s is about %q, which this version does not know", d.recordFile(), r.Subject)
	}
	d.now = &current{subject: s, record: r, Trial: r.trial(Ending), why: "the box, or its appliance, was started anew before it was confirmed"}
	if r.Kept {
		return d.keep()
	}
	d.log().Warn("a trial was cut off, taking it back", "subject", r.Subject, "who", r.Who, "since", r.Since)
	d.poke()
	return durable.Write(s.File, r.Old)
}

func (r *record) trial(state State) Trial {
	return Trial{Subject: r.Subject, ID: r.ID, Who: r.Who, From: r.From, Note: r.Note, Since: r.Since, Said: r.Said, State: state}
}

// poke has Run look.
func (d *Desk) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run takes back what is not confirmed in time, until ctx ends. A trial that is on then is taken back at the next start.
func (d *Desk) Run(ctx context.Context) error {
	defer d.running.Wait()
	defer d.stop()
	for {
		var timer <-chan time.Time
		d.mu.Lock()
		if c := d.now; c != nil && c.State == Waiting {
			left := c.within - time.Since(c.applied)
			if left <= 0 {
				c.State, c.why = Ending, fmt.Sprintf("not confirmed within %v", c.within)
			}
			timer = time.After(left)
		}
		c := d.now
		ending := c != nil && c.State == Ending
		d.mu.Unlock()
		if ending {
			d.takeBack(ctx, c)
			if ctx.Err() == nil {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer:
		case <-d.wake:
		}
	}
}

// Current returns the trial that is on.
func (d *Desk) Current() (Trial, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now == nil {
		return Trial{}, false
	}
	return d.now.Trial, true
}

// Read returns a subject's text as it is, nil if there is none.
func (d *Desk) Read(s *Subject) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return durable.Read(s.File)
}

// Begin starts a trial. It returns when the change has been put to work, or, of a subject that cuts, just before.
func (d *Desk) Begin(ctx context.Context, change Change) (Trial, error) {
	s := change.Subject
	if err := s.Check(ctx, change.Text); err != nil {
		return Trial{}, Mistake{err}
	}
	d.mu.Lock()
	c, err := d.begin(change)
	d.mu.Unlock()
	if err != nil {
		return Trial{}, err
	}
	answer := c.Trial // Before anybody changes it.
	d.log().Info("a change is tried", "subject", s.Name, "id", c.ID, "who", c.Who, "from", c.From, "within", c.within)
	done := make(chan error, 1)
	d.running.Go(func() {
		if s.Cuts {
			time.Sleep(cmp.Or(d.Pause, 500*time.Millisecond))
		}
		done <- d.apply(c)
	})
	if s.Cuts {
		return answer, nil
	}
	if err := <-done; err != nil {
		return Trial{}, Refused{err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return c.Trial, nil
}

// begin makes the record and then the file. Called with mu held.
func (d *Desk) begin(change Change) (*current, error) {
	if d.broken != nil {
		return nil, fmt.Errorf("nothing can be changed: %w", d.broken)
	}
	if d.now != nil {
		return nil, Busy{d.now.Trial}
	}
	s := change.Subject
	old, err := durable.Read(s.File)
	switch {
	case err != nil:
		return nil, err
	case change.Match != nil && !change.Match(old):
		return nil, ErrChanged
	case bytes.Equal(old, change.Text) && (old == nil) == (change.Text == nil):
		return nil, ErrSame
	}
	id, err := d.found(s, old)
	if err != nil {
		return nil, err
	}
	r := record{Subject: s.Name, ID: id, Who: change.Who, From: change.From, Note: change.Note, Since: time.Now(), Old: old, New: change.Text}
	c := &current{subject: s, record: r, Trial: r.trial(Applying), within: change.Within}
	if err := d.writeRecord(&r); err != nil {
		return nil, err
	}
	d.now = c
	if err := durable.Write(s.File, change.Text); err != nil {
		c.State, c.why = Ending, err.Error()
		d.poke()
		return nil, err
	}
	return c, nil
}

func (d *Desk) writeRecord(r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.Write(d.recordFile(), text)
}

// apply puts the new file to work.
func (d *Desk) apply(c *current) error {
	ctx, cancel := context.WithTimeout(d.base, cmp.Or(d.ApplyTime, 40*time.Second))
	defer cancel()
	said, err := c.subject.Apply(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.poke()
	if err != nil {
		c.State, c.why = Ending, err.Error()
		return err
	}
	c.Said, c.record.Said = said, said
	c.State, c.applied = Waiting, time.Now()
	c.Until = c.applied.Add(c.within)
	return nil
}

// Confirm keeps the trial. since is when the connection began over which that was asked.
func (d *Desk) Confirm(s *Subject, who string, since time.Time) (Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.mine(s, who)
	switch {
	case err != nil:
		return Entry{}, err
	case since.Before(c.applied):
		return Entry{}, ErrConnection
	}
	entry := c.entry(Confirmed)
	return entry, d.keep()
}

// Revert takes the trial back now.
func (d *Desk) Revert(s *Subject, who string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.mine(s, who)
	if err != nil {
		return err
	}
	c.State, c.why = Ending, "taken back by "+who
	d.poke()
	return nil
}

// mine returns the trial if that is whose it is. Called with mu held.
func (d *Desk) mine(s *Subject, who string) (*current, error) {
	c := d.now
	switch {
	case c == nil || c.subject != s:
		return nil, ErrNone
	case c.Who != who:
		return nil, ErrNotYours
	case c.State != Waiting:
		return nil, ErrNotYet
	}
	return c, nil
}

// keep ends the trial: its change is for good. Called with mu held.
func (d *Desk) keep() error {
	c := d.now
	kept := c.record
	kept.Kept = true
	if err := d.writeRecord(&kept); err != nil {
		return err // The trial goes on: it can be confirmed again, or it is taken back.
	}
	d.now = nil
	d.ended(c, Confirmed)
	return nil
}

// takeBack ends the trial: the old file is written and put to work. Called from Run alone.
func (d *Desk) takeBack(ctx context.Context, c *current) {
	var err error
	for deadline := time.Now().Add(cmp.Or(d.Patience, 2*time.Minute)); ; {
		if err = d.restore(ctx, c); err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		d.log().Debug("the old state is not at work yet, trying again", "subject", c.Subject, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.log().Error("the old state could not be put to work; a start of the box does it", "subject", c.Subject, "err", err)
		c.why += "; and the old state could not be put to work: " + err.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = nil
	d.ended(c, Reverted)
}

func (d *Desk) restore(ctx context.Context, c *current) error {
	if err := durable.Write(c.subject.File, c.record.Old); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.ApplyTime, 40*time.Second))
	defer cancel()
	_, err := c.subject.Apply(ctx)
	return err
}

// ended writes the history, and removes the record. Called with mu held.
func (d *Desk) ended(c *current, how How) {
	entry := c.entry(how)
	d.log().Info("a change has ended", "subject", c.Subject, "id", c.ID, "who", c.Who, "how", how, "why", c.why)
	if err := d.addEntry(c.subject, entry, c.record.New); err != nil {
		d.log().Error("the history is not complete", "err", err)
	}
	if err := durable.Remove(d.recordFile()); err != nil {
		d.broken = err // At the next start it would be taken back, or completed, again.
		d.log().Error("nothing can be changed any more", "err", err)
	}
	if d.Ended != nil {
		d.Ended(entry)
	}
}

func (c *current) entry(how How) Entry {
	e := Entry{ID: c.ID, Subject: c.Subject, Who: c.Who, From: c.From, Note: c.Note, Began: c.Since, Ended: time.Now(), How: how, Said: c.Said, Absent: c.record.New == nil}
	if how == Reverted {
		e.Why = c.why
	}
	return e
}
