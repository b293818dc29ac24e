package backend

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// However many are held, they try one after the other; and when one is connected, all go on.
func TestAwait(t *testing.T) {
	t.Parallel()
	p := mustPool(t, Settings{}, "http://a")
	const held = 100
	var turns, ended atomic.Int32
	var done sync.WaitGroup
	begun := time.Now()
	for range held {
		done.Go(func() {
			for p.Await(t.Context(), begun.Add(time.Minute)) {
				turns.Add(1)
				if ended.Load() > 0 {
					return
				}
			}
			t.Error("given up after", time.Since(begun))
		})
	}
	time.Sleep(5 * holdStep)
	most := int32(time.Since(begun)/holdStep) + 1
	if n := turns.Load(); n < 1 || n > most {
		t.Errorf("%d tries of %d who are held in %v", n, held, time.Since(begun))
	}
	ended.Store(1)
	p.Reached()
	done.Wait()
	// Those who had their turn just then may wait for another one.
	if took := time.Since(begun); took > 20*holdStep {
		t.Errorf("they were held for %v", took)
	}
}

func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	p := mustPool(t, Settings{}, "http://a")
	if begun := time.Now(); p.Await(t.Context(), begun.Add(holdStep/2)) || time.Since(begun) < holdStep/2 {
		t.Errorf("another try %v after the beginning", time.Since(begun))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p.Await(ctx, time.Now().Add(time.Minute)) {
		t.Error("another try for nobody")
	}
	if n := p.hold.waiting.Load(); n != 0 {
		t.Errorf("%d wait in the end", n)
	}
}
