// Package health asks the backends how they are, again and again: the active
// half of health checking. What their requests say of them is the pool's affair.
//
//	checker.go  Checker: who is asked, and what follows from the answers
//	check.go    Check: one question
//	agent.go    Agent: what it says of itself
package health

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
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

// round is what goes on between two calls of Watch or Follow.
type round struct {
	backends []*backend.Backend
	check    *Check // another one for each Watch
}

// forget gives all back the benefit of the doubt when nobody is asked any more.
func (r *round) forget() {
	for _, b := range r.backends {
		if r.check.Kind == Off {
			b.SetHealth(backend.Unchecked, time.Now())
		}
		if r.check.Agent.Port == 0 {
			b.SetReport(backend.Report{})
		}
	}
}

// Watch asks these backends from now on, and no others. A backend that was asked
// before keeps what is known of it; without checks nothing is.
func (c *Checker) Watch(backends []*backend.Backend, check Check) {
	r := &round{backends, &check}
	r.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(r)
}

// Follow is Watch with the check that is: those that stay are asked in their turn,
// as if nothing had happened.
func (c *Checker) Follow(backends []*backend.Backend) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched != nil {
		c.set(&round{backends, c.watched.check})
	}
}

func (c *Checker) set(r *round) {
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

// asker asks one backend.
type asker struct {
	check *Check
	stop  context.CancelFunc
	ended chan struct{}
}

// Run asks until ctx ends.
func (c *Checker) Run(ctx context.Context) error {
	askers := map[*backend.Backend]*asker{}
	end := func(stays func(*backend.Backend, *asker) bool) {
		var gone []*asker
		for b, a := range askers {
			if !stays(b, a) {
				gone = append(gone, a)
				delete(askers, b)
				a.stop()
			}
		}
		for _, a := range gone {
			<-a.ended // So that nobody sets what another knows better.
		}
	}
	for ctx.Err() == nil {
		r, changed := c.current()
		end(func(b *backend.Backend, a *asker) bool {
			return r != nil && a.check == r.check && slices.Contains(r.backends, b)
		})
		if r != nil {
			r.forget() // An answer to the last round may have come after Watch.
			for _, b := range r.backends {
				if askers[b] == nil {
					askers[b] = c.begin(ctx, b, r.check)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	end(func(*backend.Backend, *asker) bool { return false })
	return nil
}

func (c *Checker) begin(ctx context.Context, b *backend.Backend, check *Check) *asker {
	ctx, stop := context.WithCancel(ctx)
	a := &asker{check: check, stop: stop, ended: make(chan struct{})}
	var both sync.WaitGroup
	if check.Kind != Off {
		both.Go(func() { c.follow(ctx, b, check) })
	}
	if check.Agent.Port != 0 {
		both.Go(func() { c.listen(ctx, b, &check.Agent) })
	}
	go func() {
		both.Wait()
		close(a.ended)
	}()
	return a
}

// follow asks one backend again and again.
func (c *Checker) follow(ctx context.Context, b *backend.Backend, check *Check) {
	var good, bad int // in a row
	for {
		err := check.ask(ctx, b)
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
		select {
		case <-ctx.Done():
			return
		case <-time.After(about(check.Interval)):
		}
	}
}

// about is an interval, up to a tenth longer or shorter: many boxes in front of one
// farm shall not ask in step.
func about(interval time.Duration) time.Duration {
	return interval + time.Duration((rand.Float64()-0.5)/5*float64(interval))
}
