// Package ratelimit bounds what one client may ask: how many requests in a time,
// and how many at a time.
//
// The rate is the Generic Cell Rate Algorithm (ITU-T I.371), a token bucket whose
// only state is a time. The clients are in a table of fixed size, so that a flood
// of addresses costs no memory: it throws out those who are furthest from their
// limit, of whom there is least to know.
package ratelimit

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limit is what one client may ask.
type Limit struct {
	Requests int           // in the time Per; 0: any number
	Per      time.Duration // at least Requests nanoseconds
	Burst    int           // how many of them may come at once; at least 1
	InFlight int           // at a time; 0: any number

	// IPv4Prefix and IPv6Prefix are how many bits of an address make a client.
	IPv4Prefix, IPv6Prefix int

	// Name tells limits apart: a client is counted for each name by itself.
	Name uint64
}

// Verdict is what a Table says of a request.
type Verdict int

// The verdicts.
const (
	Allowed     Verdict = iota
	TooMany             // requests in the time
	TooManyOpen         // requests at a time
)

// The table has sets of ways entries: whom a client's hash puts into a set is
// looked for there alone.
const (
	sets = 8192
	ways = 8
)

// Table counts the clients. Make one with NewTable; it has 65,536 entries in 1.6 MB.
// It is safe for use by any number of goroutines.
type Table struct {
	// Evicted counts the clients that were forgotten before their time, for want of
	// room. They could ask for another burst.
	Evicted atomic.Uint64

	seed maphash.Seed // secret, so that nobody can choose whom to share a set with
	now  func() time.Duration
	sets [sets]set
}

type set struct {
	mu      sync.Mutex
	entries [ways]entry
}

// entry is a client. An entry whose time has passed and that has nothing in flight
// says no more than none.
type entry struct {
	client   uint64
	until    time.Duration // when it has all of its burst again: the theoretical arrival time
	inFlight int64
}

// NewTable makes a table. Its clock is the monotonic one: the time of day may jump.
func NewTable() *Table {
	start := time.Now()
	return &Table{seed: maphash.MakeSeed(), now: func() time.Duration { return time.Since(start) }}
}

// Ticket is a request that was allowed. Release it when the request ends.
type Ticket struct {
	set    *set
	client uint64
}

// Take asks for a request of a client. If it is not allowed, it may be after wait.
func (t *Table) Take(l *Limit, client netip.Addr) (ticket Ticket, wait time.Duration, verdict Verdict) {
	key := t.key(l, client)
	s := &t.sets[key%sets]
	now := t.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := t.find(s, key, now)
	if e == nil {
		return Ticket{}, 0, Allowed // All who share its set have requests in flight. It is not counted.
	}
	if l.InFlight > 0 && e.inFlight >= int64(l.InFlight) {
		return Ticket{}, 0, TooManyOpen
	}
	if l.Requests > 0 {
		each := l.Per / time.Duration(l.Requests)
		from := max(e.until, now)
		if wait := from - now - each*time.Duration(l.Burst-1); wait > 0 {
			return Ticket{}, wait, TooMany
		}
		e.until = from + each
	}
	if l.InFlight == 0 {
		return Ticket{}, 0, Allowed
	}
	e.inFlight++
	return Ticket{s, key}, 0, Allowed
}

// Release ends a request. A second one does nothing.
func (t *Ticket) Release() {
	if t.set == nil {
		return
	}
	s := t.set
	t.set = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.entries {
		if e := &s.entries[i]; e.client == t.client && e.inFlight > 0 {
			e.inFlight--
			return
		}
	}
}

// key is the hash of a client. That two of them have the same one does not happen:
// it has 64 bits.
func (t *Table) key(l *Limit, client netip.Addr) uint64 {
	client = client.Unmap().WithZone("")
	bits := l.IPv6Prefix
	if client.Is4() {
		bits = l.IPv4Prefix
	}
	if p, err := client.Prefix(bits); err == nil {
		client = p.Addr()
	}
	var text [24]byte
	binary.LittleEndian.PutUint64(text[:], l.Name)
	if client.IsValid() {
		address := client.As16()
		copy(text[8:], address[:])
	}
	return maphash.Bytes(t.seed, text[:])
}

// find returns the entry of a client. One who has none gets that of the client who
// is nearest to a whole burst, of those with nothing in flight; nil if all have.
func (t *Table) find(s *set, client uint64, now time.Duration) *entry {
	var oldest *entry
	for i := range s.entries {
		e := &s.entries[i]
		if e.client == client {
			return e
		}
		if e.inFlight == 0 && (oldest == nil || e.until < oldest.until) {
			oldest = e
		}
	}
	if oldest == nil {
		return nil
	}
	if oldest.until > now {
		t.Evicted.Add(1)
	}
	*oldest = entry{client: client, until: now}
	return oldest
}
