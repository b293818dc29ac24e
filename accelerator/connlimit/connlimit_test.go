package connlimit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLimit(t *testing.T) {
	l := New(2, 0)
	freed := 0
	l.OnFree(func() { freed++ })
	addr := netip.MustParseAddr("192.0.2.1")
	for range 2 {
		if !l.Reserve() || !l.Admit(addr) {
			t.Fatal("a slot was refused below the limit")
		}
	}
	l.Release(addr)
	if freed != 0 {
		t.Error("nobody waited and was called all the same")
	}
	if !l.Reserve() || !l.Admit(addr) {
		t.Fatal("the slot given back is not to be had")
	}
	if l.Reserve() || l.Open() != 2 {
		t.Fatalf("%d slots of 2", l.Open())
	}
	l.Release(addr)
	if freed != 1 || l.Open() != 1 {
		t.Errorf("called %d times, %d open", freed, l.Open())
	}
}

func TestPerAddress(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
	} {
		l := New(0, 1)
		a, b := netip.MustParseAddr(test.a), netip.MustParseAddr(test.b)
		if !l.Reserve() || !l.Admit(a) || !l.Reserve() {
			t.Fatal("the first is refused")
		}
		if l.Admit(b) == test.same {
			t.Errorf("%s and %s: one address: %v", a, b, !test.same)
		}
		if l.Release(a); test.same && (!l.Reserve() || !l.Admit(b)) {
			t.Errorf("%s is refused when %s has gone", b, a)
		}
		if test.same && (l.Open() != 1 || len(l.addresses) != 1) {
			t.Errorf("%d open, %d addresses", l.Open(), len(l.addresses))
		}
	}
}

// Nobody who waits is forgotten, and no slot is lost or made.
func TestMany(t *testing.T) {
	l := New(3, 2)
	wake := make(chan struct{}, 1)
	l.OnFree(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	var inside atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 3)})
		group.Go(func() {
			for done := 0; done < 2000; {
				if !l.Reserve() || !l.Admit(addr) {
					continue
				}
				if inside.Add(1) > 3 {
					t.Error("more than 3 inside")
				}
				inside.Add(-1)
				l.Release(addr)
				done++
			}
		})
	}
	group.Wait()
	if l.Open() != 0 || len(l.addresses) != 0 {
		t.Errorf("%d open, %d addresses in the end", l.Open(), len(l.addresses))
	}
}
