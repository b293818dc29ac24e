package backend

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// holdStep is how often one of those who are held tries again.
const holdStep = 100 * time.Millisecond

// hold is the waiting of requests while no backend can be connected to. However many
// there are, only one tries at a time, so that a server that starts is not met by a storm
// of connections before it can take one.
type hold struct {
	waiting atomic.Int64

	mu      sync.Mutex
	tried   time.Time     // guarded by mu: when one of them tried last
	reached chan struct{} // guarded by mu: closed when a backend was connected to; nil if nobody waits for that
}

// Await waits until a request may try again that could not be sent to any backend: it is
// its turn, or another one has been connected. It reports false when ctx has ended, or
// that moment has come without either.
func (p *Pool) Await(ctx context.Context, until time.Time) bool {
	h := &p.hold
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	reached := h.listen()
	pause := holdStep
	for {
		left := time.Until(until)
		select {
		case <-ctx.Done():
			return false
		case <-reached:
			return true
		case <-time.After(min(pause, left)):
		}
		if left <= pause {
			return false
		}
		if pause = h.turn(time.Now()); pause == 0 {
			return true
		}
	}
}

// Reached tells those who are held that a backend was connected to.
func (p *Pool) Reached() {
	h := &p.hold
	if h.waiting.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reached != nil {
		close(h.reached)
		h.reached = nil
	}
}

func (h *hold) listen() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reached == nil {
		h.reached = make(chan struct{})
	}
	return h.reached
}

// turn is how long it takes until the next one may try; if it is the caller's turn, 0.
func (h *hold) turn(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pause := h.tried.Add(holdStep).Sub(now); pause > 0 {
		return pause
	}
	h.tried = now
	return 0
}
