package backend

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func limited(t *testing.T, l Limits, addresses ...string) *Pool {
	return mustPool(t, Settings{Limits: l}, addresses...)
}

// waiting waits until n requests wait.
func waiting(t *testing.T, p *Pool, n int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); p.Waiting() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", p.Waiting(), n)
		}
	}
}

// However many come, no backend gets more than it may have, all are served, and
// no backend is idle while requests wait.
func TestInFlightIsBounded(t *testing.T) {
	p := limited(t, Limits{InFlight: 3, Queue: 1000, QueueTime: time.Minute}, "http://a", "http://b*2")
	var most [2]atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 20 {
				b, err := p.Take(t.Context(), &Choice{})
				if err != nil {
					t.Error(err)
					return
				}
				for i, other := range p.Backends() {
					for n := other.InFlight.Load(); ; {
						m := most[i].Load()
						if n <= m || most[i].CompareAndSwap(m, n) {
							break
						}
					}
				}
				time.Sleep(100 * time.Microsecond)
				p.Release(b)
			}
		})
	}
	wg.Wait()
	for i, b := range p.Backends() {
		if n := most[i].Load(); n != 3 {
			t.Errorf("%s had %d at a time, want 3", b.URL, n)
		}
		if b.InFlight.Load() != 0 {
			t.Errorf("%s has %d in the end", b.URL, b.InFlight.Load())
		}
	}
	if a, b := p.Backends()[0].Requests.Load(), p.Backends()[1].Requests.Load(); a+b != 2000 || p.Waiting() != 0 {
		t.Errorf("%d and %d requests, %d wait", a, b, p.Waiting())
	}
}

func TestQueueIsFair(t *testing.T) {
	p := limited(t, Limits{InFlight: 1, Queue: 10, QueueTime: time.Minute}, "http://a")
	b, _ := p.Take(t.Context(), &Choice{})
	order := make(chan int, 5)
	for i := range 5 {
		go func() {
			b, err := p.Take(t.Context(), &Choice{})
			if err != nil {
				t.Error(err)
			}
			order <- i
			p.Release(b)
		}()
		waiting(t, p, int64(i+1))
	}
	p.Release(b)
	for want := range 5 {
		if got := <-order; got != want {
			t.Errorf("the one who came as number %d is served as number %d", got, want)
		}
	}
}

func TestQueueEnds(t *testing.T) {
	p := limited(t, Limits{InFlight: 1, Queue: 1, QueueTime: 100 * time.Millisecond}, "http://a", "http://b")
	a, _ := p.Take(t.Context(), &Choice{})
	b, _ := p.Take(t.Context(), &Choice{})
	if a == nil || b == nil || a == b {
		t.Fatalf("two requests for two backends: %v, %v", a, b)
	}
	started := time.Now()
	if _, err := p.Take(t.Context(), &Choice{}); !errors.Is(err, ErrQueueTime) || time.Since(started) < 100*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	// Somebody is in the line; there is no place for another.
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := make(chan error)
	p.settings.Limits.QueueTime = time.Minute
	go func() {
		_, err := p.Take(ctx, &Choice{})
		gone <- err
	}()
	waiting(t, p, 1)
	if _, err := p.Take(t.Context(), &Choice{}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("%v", err)
	}
	left := errors.New("left")
	cancel(left)
	if err := <-gone; !errors.Is(err, left) {
		t.Errorf("%v", err)
	}
	waiting(t, p, 0)
	// Nobody is left to be tried: no reason to wait.
	if b, err := p.Take(t.Context(), &Choice{Tried: []*Backend{a, b}}); b != nil || err != nil {
		t.Errorf("%v, %v", b, err)
	}
}

// Room may come without anybody's Release: here, from a backend that is up again.
func TestQueueSeesTheRisen(t *testing.T) {
	p := limited(t, Limits{InFlight: 1, Queue: 1, QueueTime: time.Minute}, "http://a", "http://b")
	p.Backends()[1].SetHealth(Down, time.Now())
	if b, _ := p.Take(t.Context(), &Choice{}); b != p.Backends()[0] {
		t.Fatalf("%v", b)
	}
	got := make(chan *Backend)
	go func() {
		b, _ := p.Take(t.Context(), &Choice{})
		got <- b
	}()
	waiting(t, p, 1)
	p.Backends()[1].SetHealth(Up, time.Now())
	if b := <-got; b != p.Backends()[1] {
		t.Errorf("%v", b)
	}
}
