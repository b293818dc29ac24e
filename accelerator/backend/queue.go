package backend

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// The errors of Take, when all backends have as much to do as they may have.
var (
	ErrQueueFull = errors.New("all backends are busy, and so many requests wait that no more may")
	ErrQueueTime = errors.New("all backends are busy, and none had room in time")
)

// Limits bound the requests at a backend. What is above them waits in line.
type Limits struct {
	InFlight  int           // requests at one backend at a time; 0: no limit
	Queue     int           // requests that wait; 0: none may
	QueueTime time.Duration // how long one waits
}

// recheck is how often the first in line looks by itself: room may come from
// elsewhere, as when a backend is up again.
const recheck = 50 * time.Millisecond

// queue is the line of those who wait for a backend with room, first come, first
// served.
type queue struct {
	length atomic.Int64

	mu   sync.Mutex
	line list.List // of chan struct{}, each with room for one wake-up
}

// join returns the caller's place in the line.
func (q *queue) join(most int) (place *list.Element, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.line.Len() >= most {
		return nil, false
	}
	q.length.Add(1)
	return q.line.PushBack(make(chan struct{}, 1)), true
}

// leave gives up a place, and lets the next one look.
func (q *queue) leave(place *list.Element) {
	q.mu.Lock()
	q.line.Remove(place)
	q.length.Add(-1)
	q.mu.Unlock()
	q.wake()
}

func (q *queue) first(place *list.Element) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.line.Front() == place
}

// wake lets the first in line look for room.
func (q *queue) wake() {
	if q.length.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if place := q.line.Front(); place != nil {
		select {
		case place.Value.(chan struct{}) <- struct{}{}:
		default:
		}
	}
}

// Take chooses a backend as Next does and begins a request there: Release it.
// While those that may be chosen have no room it waits in line, until ctx ends.
// Without an error, nil means that none is left to be tried.
func (p *Pool) Take(ctx context.Context, c *Choice) (*Backend, error) {
	if !c.paid && len(c.Tried) == 0 {
		c.paid = true
		p.budget.pay()
	}
	if p.queue.length.Load() == 0 {
		if b, full := p.take(c); !full {
			return b, nil
		}
	}
	place, ok := p.queue.join(p.settings.Limits.Queue)
	if !ok {
		return nil, ErrQueueFull
	}
	defer p.queue.leave(place)
	timeout := time.NewTimer(p.settings.Limits.QueueTime)
	defer timeout.Stop()
	again := time.NewTicker(recheck)
	defer again.Stop()
	for {
		if p.queue.first(place) {
			if b, full := p.take(c); !full {
				return b, nil
			}
		}
		select {
		case <-place.Value.(chan struct{}):
		case <-again.C:
		case <-timeout.C:
			return nil, ErrQueueTime
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// TryTake is Take for those who cannot wait: it returns nil as well if the request
// would have to.
func (p *Pool) TryTake(c *Choice) *Backend {
	if p.queue.length.Load() > 0 {
		return nil // They were first.
	}
	b, _ := p.take(c)
	if b != nil && len(c.Tried) == 0 {
		p.budget.pay()
	}
	return b
}

// take is Take without waiting.
func (p *Pool) take(c *Choice) (b *Backend, full bool) {
	for {
		b, full = p.next(c)
		if b == nil || b.begin(p.most(b)) {
			return b, full
		}
		// Another was quicker.
	}
}

// Release ends a request that was begun by Take.
func (p *Pool) Release(b *Backend) {
	b.End()
	p.queue.wake()
}

// Waiting is the number of requests that wait for a backend with room.
func (p *Pool) Waiting() int64 { return p.queue.length.Load() }
