// Package health asks the backends how they are, again and again: the active
// half of health checking. What their requests say of them is the pool's affair.
//
//	checker.go  Checker: who is asked, and what follows from the answers
//	check.go    Check: one question
package health

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/accelerator/backend"
)

// Checker checks the backends of one pool at a time, each for itself. Its
// methods may be called from any goroutine.
type Checker struct {
	Log *slog.Logger // gets each change; never nil

	Passed, Failed atomic.Uint64 // checks

	mu      sync.Mutex
	watched *round // who is to be asked; nil for nobody
	changed chan struct{}
}

// round is what goes on between two calls of Watch.
type round struct {
	backends []*backend.Backend
	check    Check
}

// forget gives all back the benefit of the doubt when nobody is asked any more.
func (r *round) forget() {
	if r.check.Kind != Off {
		return
	}
	for _, b := range r.backends {
		b.SetHealth(backend.Unchecked, time.Now())
	}
}

// Watch asks these backends from now on, and no others. A backend that was asked
// before keeps what is known of it; without checks nothing is.
func (c *Checker) Watch(backends []*backend.Backend, check Check) {
	r := &round{backends, check}
	r.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = r
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// current returns who is to be asked, and a channel that is closed when that is
// no longer so.
func (c *Checker) current() (*round, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = make(chan struct{})
	return c.watched, c.changed
}

// String names the task.
func (c *Checker) String() string { return "health checks" }

// Run asks until ctx ends.
func (c *Checker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		r, changed := c.current()
		during, stop := context.WithCancel(ctx)
		var askers sync.WaitGroup
		switch {
		case r == nil:
		case r.check.Kind == Off:
			r.forget() // An answer to the last round may have come after Watch.
		default:
			for _, b := range r.backends {
				askers.Go(func() { c.follow(during, b, &r.check) })
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
		stop()
		askers.Wait() // So that nobody sets what the next round knows better.
	}
	return nil
}

// follow asks one backend again and again.
func (c *Checker) follow(ctx context.Context, b *backend.Backend, check *Check) {
	var good, bad int // in a row
	for {
		err := check.ask(ctx, b.URL)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			good, bad = good+1, 0
			c.Passed.Add(1)
		} else {
			good, bad = 0, bad+1
			c.Failed.Add(1)
		}
		switch {
		case bad >= check.Fall && b.SetHealth(backend.Down, time.Now()) != backend.Down:
			c.Log.Warn("backend is down", "backend", b.URL.String(), "err", err)
		case good >= check.Rise || good > 0 && b.Health() == backend.Unchecked:
			if b.SetHealth(backend.Up, time.Now()) == backend.Down {
				c.Log.Info("backend is up again", "backend", b.URL.String())
			}
		}
		// Many boxes in front of one farm shall not ask in step.
		wait := check.Interval + time.Duration((rand.Float64()-0.5)/5*float64(check.Interval))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
