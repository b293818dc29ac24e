package trial

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ramjet/appliance/durable"
)

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

// String names the task.
func (d *Desk) String() string { return "trial" }

func (d *Desk) log() *slog.Logger { return cmp.Or(d.Log, slog.Default()) }

func (d *Desk) subject(name string) *Subject {
	for _, s := range d.Subjects {
		if s.Name == name {
			return s
		}
	}
	return nil
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
