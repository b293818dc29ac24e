package ratelimit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clocked is a table whose time is the test's.
func clocked() (*Table, *time.Duration) {
	t, now := NewTable(), time.Hour
	t.now = func() time.Duration { return now }
	return t, &now
}

var alice, bob = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

func TestRate(t *testing.T) {
	table, now := clocked()
	l := &Limit{Requests: 10, Per: time.Second, Burst: 5, IPv4Prefix: 32, IPv6Prefix: 64}
	take := func(who netip.Addr) (int, time.Duration) {
		for n := 0; ; n++ {
			if _, wait, verdict := table.Take(l, who); verdict == TooMany {
				return n, wait
			}
		}
	}
	for _, step := range []struct {
		later time.Duration
		who   netip.Addr
		want  int
		wait  time.Duration
	}{
		{0, alice, 5, 100 * time.Millisecond}, {0, bob, 5, 100 * time.Millisecond}, {0, alice, 0, 100 * time.Millisecond},
		{60 * time.Millisecond, alice, 0, 40 * time.Millisecond}, {40 * time.Millisecond, alice, 1, 100 * time.Millisecond},
		{250 * time.Millisecond, alice, 2, 50 * time.Millisecond}, {time.Hour, alice, 5, 100 * time.Millisecond},
	} {
		*now += step.later
		if n, wait := take(step.who); n != step.want || wait != step.wait {
			t.Errorf("%v later %v may ask %d times and has to wait %v, want %d and %v", step.later, step.who, n, wait, step.want, step.wait)
		}
	}
}

func TestInFlight(t *testing.T) {
	table, _ := clocked()
	l := &Limit{Requests: 3, Per: time.Hour, Burst: 3, InFlight: 2, IPv4Prefix: 32, IPv6Prefix: 64}
	first, _, _ := table.Take(l, alice)
	second, _, verdict := table.Take(l, alice)
	if verdict != Allowed {
		t.Fatal("the second is refused")
	}
	if _, _, verdict := table.Take(l, alice); verdict != TooManyOpen {
		t.Errorf("a third at a time: %v", verdict)
	}
	if _, _, verdict := table.Take(l, bob); verdict != Allowed {
		t.Errorf("another client: %v", verdict)
	}
	first.Release()
	first.Release() // Does nothing.
	// The one that was refused was not counted in the rate.
	third, _, verdict := table.Take(l, alice)
	if verdict != Allowed {
		t.Errorf("when one has ended: %v", verdict)
	}
	if _, _, verdict := table.Take(l, alice); verdict != TooManyOpen {
		t.Errorf("a released ticket counts twice: %v", verdict)
	}
	second.Release()
	third.Release()
	if _, _, verdict := table.Take(l, alice); verdict != TooMany {
		t.Errorf("more than the rate: %v", verdict)
	}
}

func TestWhoIsOneClient(t *testing.T) {
	for _, test := range []struct {
		a, b   string
		v4, v6 int
		same   bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", 32, 64, true},
		{"192.0.2.1", "192.0.2.2", 32, 64, false},
		{"192.0.2.1", "192.0.2.200", 24, 64, true},
		{"192.0.2.1", "192.0.3.1", 24, 64, false},
		{"2001:db8::1", "2001:db8::2", 32, 64, true},
		{"2001:db8::1", "2001:db8:0:1::1", 32, 64, false},
		{"2001:db8::1", "2001:db8:0:1::1", 32, 48, true},
		{"fe80::1%a", "fe80::1%b", 32, 128, true},
		{"0.0.0.0", "::", 32, 64, false},
	} {
		table, _ := clocked()
		l := &Limit{Requests: 1, Per: time.Hour, Burst: 1, IPv4Prefix: test.v4, IPv6Prefix: test.v6}
		table.Take(l, netip.MustParseAddr(test.a))
		if _, _, verdict := table.Take(l, netip.MustParseAddr(test.b)); (verdict == TooMany) != test.same {
			t.Errorf("%s and %s with /%d and /%d: one client: %v, want %v", test.a, test.b, test.v4, test.v6, !test.same, test.same)
		}
		other := *l
		other.Name = 1
		if _, _, verdict := table.Take(&other, netip.MustParseAddr(test.a)); verdict != Allowed {
			t.Errorf("%s: another limit counts with the first", test.a)
		}
	}
	table, _ := clocked()
	l := &Limit{Requests: 1, Per: time.Hour, Burst: 1}
	table.Take(l, netip.Addr{})
	if _, _, verdict := table.Take(l, netip.Addr{}); verdict != TooMany {
		t.Error("clients without an address have no limit")
	}
}

// A flood of a million addresses takes no memory, and does not free the one who is
// at its limit, nor those who have requests in flight.
func TestFlood(t *testing.T) {
	table, now := clocked()
	l := &Limit{Requests: 10, Per: time.Second, Burst: 20, IPv4Prefix: 32, IPv6Prefix: 64}
	open := &Limit{InFlight: 1, IPv4Prefix: 32, IPv6Prefix: 64, Name: 1}
	held, _, _ := table.Take(open, bob)
	random := rand.New(rand.NewPCG(1, 2))
	passed := 0
	flood := func(n int) {
		for range n {
			var address [16]byte
			binary.BigEndian.PutUint64(address[:], random.Uint64())
			table.Take(l, netip.AddrFrom16(address))
			*now += time.Microsecond
			if random.IntN(100) == 0 {
				if _, _, verdict := table.Take(l, alice); verdict == Allowed {
					passed++
				}
			}
		}
	}
	flood(1000)
	if n := testing.AllocsPerRun(10, func() { flood(100_000) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if table.Evicted.Load() == 0 {
		t.Error("that was no flood")
	}
	// 1.1 s have passed: 20 at once and 10 a second.
	if passed < 28 || passed > 33 {
		t.Errorf("alice asked with success %d times in %v", passed, *now-time.Hour)
	}
	if _, _, verdict := table.Take(open, bob); verdict != TooManyOpen {
		t.Error("the flood freed bob, who has a request in flight")
	}
	held.Release()
	if _, _, verdict := table.Take(open, bob); verdict != Allowed {
		t.Error("bob's request does not end")
	}
}

func TestManyAtOnce(t *testing.T) {
	table := NewTable()
	l := &Limit{InFlight: 3, IPv4Prefix: 32, IPv6Prefix: 64}
	var open, most, allowed atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 2000 {
				ticket, _, verdict := table.Take(l, alice)
				if verdict != Allowed {
					continue
				}
				allowed.Add(1)
				n := open.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				open.Add(-1)
				ticket.Release()
			}
		})
	}
	group.Wait()
	if most.Load() > 3 || allowed.Load() == 0 {
		t.Errorf("%d at a time, %d in all", most.Load(), allowed.Load())
	}
	if ticket, _, verdict := table.Take(l, alice); verdict != Allowed {
		t.Error("requests that ended are still counted")
	} else {
		ticket.Release()
	}
}
