package backend

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// What an agent says holds beside what checks and people say.
func TestReport(t *testing.T) {
	p := mustPool(t, Settings{Balance: RoundRobin, Limits: Limits{InFlight: 100, QueueTime: time.Millisecond}}, "http://a", "http://b")
	a, b := p.Backends()[0], p.Backends()[1]
	got := func() float64 {
		n := 0
		for range 2000 {
			if p.Next() == a {
				n++
			}
		}
		return float64(n) / 2000
	}
	a.SetReport(Report{Less: 75}) // A quarter of its weight: a fifth of all.
	if share := got(); math.Abs(share-0.2) > 0.01 {
		t.Errorf("a quarter of its weight brings %v of the requests", share)
	}
	for words, want := range map[Report]string{
		{Less: 100}: "not now, says its agent: 0%", {Drain: true}: "not now, says its agent: drain", {Maint: true}: "not now, says its agent: maint", {Down: true}: "down, says its agent",
	} {
		a.SetReport(words)
		if share := got(); share != 0 {
			t.Errorf("%v: %v of the requests", words, share)
		}
		if text := p.Explain(0); !strings.HasPrefix(text, "http://a, weight 1: "+want+"\n") {
			t.Errorf("%v: %s", words, text)
		}
		stays, err := p.Take(t.Context(), &Choice{Stay: a})
		if err != nil || (stays == a) != (words.Drain || words.Less == 100) {
			t.Errorf("%v: who stays with it is sent to %v, %v", words, stays.URL, err)
		}
		p.Release(stays)
	}
	// It is one of those who are asked when nobody is well, unless it was taken out.
	a.SetReport(Report{Down: true})
	b.SetHealth(Down, time.Now())
	if got() == 0 {
		t.Error("all are down, and it gets nothing")
	}
	a.SetReport(Report{Maint: true})
	if got() != 0 {
		t.Error("all are down, and it gets requests in maintenance")
	}
	b.SetHealth(Up, time.Now())
	a.SetReport(Report{InFlight: 2})
	b.Drain(true)
	for range 2 {
		if x, err := p.Take(t.Context(), &Choice{}); x != a || err != nil {
			t.Fatal(x, err)
		}
	}
	if x, err := p.Take(t.Context(), &Choice{}); !errors.Is(err, ErrQueueFull) {
		t.Error("more than the agent lets in:", x, err)
	}
	if a.SetReport(Report{}).InFlight != 2 || a.Report().String() != "" {
		t.Error(a.Report())
	}
	if x, err := p.Take(t.Context(), &Choice{}); x != a || err != nil {
		t.Error("the pool's own limit does not hold again:", x, err)
	}
}
