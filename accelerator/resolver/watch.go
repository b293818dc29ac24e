package resolver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Settings say how a Watcher asks, and how often.
type Settings struct {
	Resolver Resolver
	MinTTL   time.Duration // an answer is good for no less
	MaxTTL   time.Duration // and no longer
}

// Watcher keeps a set of names current. Its methods may be called from any
// goroutine.
type Watcher struct {
	Log     *slog.Logger // gets each change; never nil
	Changed func()       // is called when a name has other targets than before; nil: nobody is

	Answered, Failed atomic.Uint64 // questions

	mu       sync.Mutex // guards what follows
	settings Settings
	names    map[Name]*entry
	wake     chan struct{} // of Run; nil while it does not run
}

// entry is what is known of a name. Guarded by Watcher.mu.
type entry struct {
	targets  []Target // of the last good answer; immutable
	answered time.Time
	due      time.Time // when it is to be asked next
	asking   bool
	failures int // in succession
	err      error
}

// State is what is known of a name, for people.
type State struct {
	Name     Name
	Targets  []Target  // none: there was no good answer yet
	Answered time.Time // when that was
	Due      time.Time // when it is asked again
	Err      error     // of the last question
}

// Watch keeps these names current from now on, and no others. What is known of
// those that stay is kept. Those that are new are asked before it returns, until
// ctx ends.
func (w *Watcher) Watch(ctx context.Context, settings Settings, names []Name) {
	w.mu.Lock()
	before := w.names
	w.names = make(map[Name]*entry, len(names))
	var asking sync.WaitGroup
	for _, n := range names {
		e := before[n]
		switch {
		case w.names[n] != nil:
			continue
		case e == nil:
			e = &entry{asking: true}
			asking.Go(func() { w.ask(ctx, &settings, n, e) }) // The caller looks himself.
		case settings != w.settings:
			e.due = time.Time{}
		}
		w.names[n] = e
	}
	w.settings = settings
	w.mu.Unlock()
	asking.Wait()
	w.rouse()
}

// Targets returns what the last good answer said, nil if there was none.
func (w *Watcher) Targets(n Name) []Target {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.names[n]; e != nil {
		return e.targets
	}
	return nil
}

// States returns what is known of each name, in no order.
func (w *Watcher) States() []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]State, 0, len(w.names))
	for n, e := range w.names {
		all = append(all, State{n, e.targets, e.answered, e.due, e.err})
	}
	return all
}

// String names the task.
func (w *Watcher) String() string { return "resolver" }

// Run asks until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	w.mu.Lock()
	w.wake = wake
	w.mu.Unlock()
	var asking sync.WaitGroup
	defer asking.Wait()
	for ctx.Err() == nil {
		next := w.askDue(ctx, &asking)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// askDue asks for all that are due, and returns how long nobody else is.
func (w *Watcher) askDue(ctx context.Context, asking *sync.WaitGroup) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, settings := time.Hour, w.settings
	for n, e := range w.names {
		if e.asking {
			continue
		}
		if wait := time.Until(e.due); wait > 0 {
			next = min(next, wait)
			continue
		}
		e.asking = true
		asking.Go(func() {
			if w.ask(ctx, &settings, n, e) && w.Changed != nil {
				w.Changed()
			}
			w.rouse()
		})
	}
	return next
}

func (w *Watcher) rouse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// ask asks for one name, and reports whether it has other targets than before.
func (w *Watcher) ask(ctx context.Context, settings *Settings, n Name, e *entry) (changed bool) {
	w.mu.Lock()
	last := e.targets
	w.mu.Unlock()
	targets, ttl, err := settings.Resolver.ask(ctx, n, last)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	e.asking = false
	switch {
	case errors.Is(ctx.Err(), context.Canceled): // That is no answer.
	case err != nil:
		e.err = err
		e.failures++
		e.due = now.Add(settings.retry(e.failures))
		w.Failed.Add(1)
		if e.failures == 1 {
			w.Log.Warn("name not resolved", "name", n.Host, "known_addresses", len(last), "err", err)
		}
	default:
		changed = !slices.Equal(targets, last)
		if changed || e.err != nil {
			w.Log.Info("name resolved", "name", n.Host, "addresses", addresses(targets))
		}
		e.targets, e.answered, e.failures, e.err = targets, now, 0, nil
		e.due = now.Add(min(max(ttl, settings.MinTTL), settings.MaxTTL))
		w.Answered.Add(1)
	}
	return changed
}

// The waits after failures in succession.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

func (s *Settings) retry(failures int) time.Duration {
	wait := max(firstRetry, s.MinTTL)
	for ; failures > 1 && wait < lastRetry; failures-- {
		wait *= 2
	}
	return min(wait, lastRetry, s.MaxTTL)
}

// addresses are the targets for the log.
func addresses(targets []Target) []string {
	all := make([]string, len(targets))
	for i, t := range targets {
		all[i] = t.String()
	}
	return all
}
