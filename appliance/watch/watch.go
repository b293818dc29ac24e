// Package watch probes the accelerator through its real listener, and ends one that hangs; gokrazy starts it again. What it
// cannot mend so it hands on (Escalate). A second watchdog device, if there is one, is fed only as long as the probes pass.
package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"ramjet/appliance/health"
	"ramjet/appliance/process"
)

// Watcher is the task. The zero values of times are for the box.
type Watcher struct {
	Socket  string // admin socket of the accelerator, for a second opinion
	Listen  string // where it listens, until it says so itself
	Program string // name of its executable; nothing else is ever ended
	// Escalate is called when ending it has not helped, or it does not come back, and again after a minute if it is still
	// needed. It may not return. See Escalation.
	Escalate func(ctx context.Context, why string) error
	// Ends is how often it is ended within Within; 0: 5 times in 10 minutes.
	Ends   int
	Within time.Duration
	// Gone is how long nobody may listen, once somebody did, before it is handed on; 0: 2 minutes.
	Gone time.Duration
	// Stopped tells that somebody has stopped the accelerator on purpose. Nil: nobody ever does.
	Stopped func(ctx context.Context) bool
	Every   time.Duration // from one probe to the next; 0: 1 s
	// Timeout of a probe; 0: 3 s. Five of them, or eight where the processor is in use, end it.
	Timeout time.Duration
	Dog     *Dog         // may be nil
	Log     *slog.Logger // nil means slog.Default()

	// Owned by Run.
	work      uint64
	known     process.ID // who has the admin socket
	ended     []time.Time
	escalated time.Time
	listened  time.Time // when somebody did last; zero: nobody did yet

	mu   sync.Mutex
	note health.Check // guarded by mu
}

// String names the task.
func (w *Watcher) String() string { return "watch" }

// Run probes until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	w.Log = cmp.Or(w.Log, slog.Default())
	w.Ends, w.Within = cmp.Or(w.Ends, 5), cmp.Or(w.Within, 10*time.Minute)
	w.Gone = cmp.Or(w.Gone, 2*time.Minute)
	w.Every, w.Timeout = cmp.Or(w.Every, every), cmp.Or(w.Timeout, timeout)
	defer w.Dog.release()
	if o, err := ask(ctx, w.Socket); err == nil {
		w.heard(o)
	}
	var failed count
	last := well
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		e, v := w.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if v != last {
			w.Log.Info("the accelerator", "probe", v, "admin_socket", e.admin, "cpu", e.cpu)
		}
		last = v
		w.say(v, failed.failed)
		if v != absent {
			w.listened = time.Now()
		} else {
			if o, err := ask(ctx, w.Socket); err == nil { // A new one may listen elsewhere.
				w.heard(o)
			}
			w.missed(ctx)
		}
		w.feed(ctx, v)
		if failed.add(v) {
			failed = count{}
			w.act(ctx, v)
		}
	}
}

// heard takes down where it listens.
func (w *Watcher) heard(o *opinion) { w.Listen = cmp.Or(o.listen, w.Listen) }

// act ends it, or hands on.
func (w *Watcher) act(ctx context.Context, v verdict) {
	now := time.Now()
	w.ended = slices.DeleteFunc(w.ended, func(t time.Time) bool { return now.Sub(t) > w.Within })
	if len(w.ended) < w.Ends {
		w.ended = append(w.ended, now)
		id, err := w.end()
		if err != nil {
			w.Log.Error("the accelerator hangs, and cannot be ended", "why", v, "err", err)
			return
		}
		w.Log.Error("the accelerator hung and was ended", "why", v, "pid", id.PID, "time_number", len(w.ended), "of", w.Ends, "within", w.Within)
		return
	}
	w.escalate(ctx, fmt.Sprintf("the accelerator hangs, and was ended %d times in %v", len(w.ended), w.Within))
}

// missed hands on when it does not come back. One that never was there is not missed: its configuration may be wrong, and
// nothing that can be done here helps.
func (w *Watcher) missed(ctx context.Context) {
	if gone := time.Since(w.listened); w.listened.IsZero() || gone < w.Gone || w.stopped(ctx) {
		return
	}
	w.escalate(ctx, fmt.Sprintf("the accelerator does not come back: nobody has listened for %v", w.Gone))
}

func (w *Watcher) stopped(ctx context.Context) bool { return w.Stopped != nil && w.Stopped(ctx) }

// escalate hands on, at most once a minute.
func (w *Watcher) escalate(ctx context.Context, why string) {
	now := time.Now()
	if !w.escalated.IsZero() && now.Sub(w.escalated) < time.Minute {
		return
	}
	w.escalated = now
	w.Log.Error("ending it does not help", "why", why)
	if w.Escalate == nil {
		return
	}
	if err := w.Escalate(ctx, why); err != nil {
		w.Log.Error("nothing more can be done", "err", err)
	}
}

// end kills the process that holds the listener, if that is the accelerator: the kernel is asked, for it may not answer.
func (w *Watcher) end() (process.ID, error) {
	_, text, err := net.SplitHostPort(w.Listen)
	if err != nil {
		return process.ID{}, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return process.ID{}, err
	}
	all, err := process.Listeners(port)
	if err != nil {
		return process.ID{}, err
	}
	var others []string
	for _, id := range all {
		name, err := process.Program(id.PID)
		if err == nil && name == w.Program {
			return id, process.End(id)
		}
		others = append(others, fmt.Sprintf("%s (%d)", name, id.PID))
	}
	if len(others) > 0 {
		return process.ID{}, fmt.Errorf("port %d is held by %v, and that is not %s", port, others, w.Program)
	}
	return process.ID{}, errors.New("nobody that can be seen holds its port")
}

// feed lets the second watchdog know.
func (w *Watcher) feed(ctx context.Context, v verdict) {
	if w.Dog == nil {
		return
	}
	switch v {
	case well:
		w.Dog.arm(w.Log)
		w.Dog.feed(w.Log)
	case busy, unclear:
		w.Dog.feed(w.Log)
	case absent:
		if w.stopped(ctx) {
			w.Dog.feed(w.Log)
		}
	}
}

// say keeps what GET /health shows.
func (w *Watcher) say(v verdict, failed int) {
	c := health.Check{Name: "watchers/probe", State: health.OK, Detail: v.String()}
	if v == hangs || v == spins {
		c.State, c.Detail = health.Failed, fmt.Sprintf("%s, %d failed probes before", v, failed)
	} else if v == absent {
		c.State = health.Failed
	}
	if n := len(w.ended); n > 0 {
		c.Detail += fmt.Sprintf("; ended %d times, last at %s", n, w.ended[n-1].UTC().Format(time.DateTime))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note = c
}

// Notes are for the health of the box.
func (w *Watcher) Notes() []health.Check {
	w.mu.Lock()
	defer w.mu.Unlock()
	probe := w.note
	if probe.Name == "" {
		probe = health.Check{Name: "watchers/probe", State: health.Unknown, Detail: "no probe yet"}
	}
	return []health.Check{probe, w.Dog.note()}
}
