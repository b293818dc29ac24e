// Package connlimit bounds how many connections are open at a time: in all, and
// from one address. All that accept connections share one Limiter, and whoever
// ends a connection releases it, wherever it has been handed to meanwhile.
package connlimit

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// A Limiter counts open connections. Its methods may be called from any
// goroutine.
type Limiter struct {
	max        int64
	perAddress int

	slots   atomic.Int64 // taken
	open    atomic.Int64 // admitted
	starved atomic.Bool  // a Reserve failed since the last call of the listeners

	mu        sync.Mutex // guards what follows; not taken without a limit per address
	addresses map[netip.Addr]int
	listeners []func()
}

// New returns a Limiter for max connections in all and perAddress connections
// from each address; 0 means any number.
func New(max, perAddress int) *Limiter {
	return &Limiter{max: int64(max), perAddress: perAddress, addresses: map[netip.Addr]int{}}
}

// Open returns the number of connections admitted and not released.
func (l *Limiter) Open() int64 { return l.open.Load() }

// OnFree has call called, from any goroutine, when a slot becomes free after a
// Reserve that failed. It must not block. Call it before the first Reserve.
func (l *Limiter) OnFree(call func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners = append(l.listeners, call)
}

// Reserve takes a slot for a connection about to be accepted, and reports whether
// there was one. If not, whoever waits is called when one becomes free.
func (l *Limiter) Reserve() bool {
	for {
		if n := l.slots.Add(1); l.max == 0 || n <= l.max {
			return true
		}
		l.slots.Add(-1)
		l.starved.Store(true)
		if l.slots.Load() >= l.max {
			return false
		}
		// One was given back before it could know that we wait.
	}
}

// Cancel gives back a slot for which no connection came.
func (l *Limiter) Cancel() {
	l.slots.Add(-1)
	if l.starved.Load() && l.starved.Swap(false) {
		l.mu.Lock()
		listeners := l.listeners
		l.mu.Unlock()
		for _, call := range listeners {
			call()
		}
	}
}

// Admit counts a connection from addr, for which a slot is reserved. If there
// are too many from there already it takes the slot back and returns false. The
// zero Addr is a client that is not known yet: see Identify.
func (l *Limiter) Admit(addr netip.Addr) bool {
	admitted := l.Identify(addr)
	if admitted {
		l.open.Add(1)
	} else {
		l.Cancel()
	}
	return admitted
}

// Identify counts addr for a connection that was admitted without, and that is
// to be released with it from now on. If there are too many from there already it
// returns false, and nothing has changed.
func (l *Limiter) Identify(addr netip.Addr) bool {
	if l.perAddress == 0 || !addr.IsValid() {
		return true
	}
	addr = client(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addresses[addr] >= l.perAddress {
		return false
	}
	l.addresses[addr]++
	return true
}

// Release gives back the slot of an admitted connection from addr.
func (l *Limiter) Release(addr netip.Addr) {
	if l.perAddress > 0 && addr.IsValid() {
		addr = client(addr)
		l.mu.Lock()
		if l.addresses[addr]--; l.addresses[addr] <= 0 {
			delete(l.addresses, addr)
		}
		l.mu.Unlock()
	}
	l.open.Add(-1)
	l.Cancel()
}

// client is what counts as one address: an IPv6 host has its whole /64 to choose
// addresses from (RFC 4291 §2.5.4).
func client(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
