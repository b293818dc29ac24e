package backend

import (
	"fmt"
	"net/url"
	"sync/atomic"
	"time"
)

// Backend is one server of the farm. Its address never changes; all else is
// safe to read and change at any time. It outlives the pools it is in: see
// Pool.Inherit.
type Backend struct {
	URL *url.URL // scheme "http" or "https" and host[:port], nothing else; immutable, do not modify

	Requests  atomic.Uint64 // requests begun with this backend, failed attempts included
	InFlight  atomic.Int64  // requests begun and not yet ended; a tunnel counts until it closes
	Failures  atomic.Uint64 // requests that this backend failed: no connection, no answer, a bad or a broken one
	Ejections atomic.Uint64 // times that it was left out because of its failures

	hash   uint64 // of the URL; immutable
	drain  atomic.Bool
	health atomic.Int32 // a Health
	back   atomic.Int64 // when it came up after it was down, in nanoseconds since 1970; 0: never
	record record
}

// Health is what the active checks say of a backend.
type Health int32

// The states of health. A backend that was not checked yet gets requests.
const (
	Unchecked Health = iota
	Up
	Down
)

// String is the state in lower case.
func (h Health) String() string { return [...]string{"unchecked", "up", "down"}[h] }

// Health returns what the last checks said.
func (b *Backend) Health() Health { return Health(b.health.Load()) }

// SetHealth is for whoever checks, and returns what was said before. now is the
// time of the check.
func (b *Backend) SetHealth(h Health, now time.Time) (before Health) {
	if h == Up && b.Health() == Down {
		b.back.Store(now.UnixNano()) // Before it gets requests.
	}
	return Health(b.health.Swap(int32(h)))
}

// Begin counts a request that is about to be sent to b. Every Begin is followed
// by exactly one End.
func (b *Backend) Begin() {
	b.Requests.Add(1)
	b.InFlight.Add(1)
}

// Drain keeps new requests from a backend, or lets them come again. Those in
// flight go on, and so do tunnels.
func (b *Backend) Drain(on bool) { b.drain.Store(on) }

// Draining reports whether new requests are kept from a backend.
func (b *Backend) Draining() bool { return b.drain.Load() }

// begin is Begin if b has fewer than most requests in flight; 0 is no limit.
func (b *Backend) begin(most int) bool {
	for {
		n := b.InFlight.Load()
		if most > 0 && n >= int64(most) {
			return false
		}
		if b.InFlight.CompareAndSwap(n, n+1) {
			b.Requests.Add(1)
			return true
		}
	}
}

// End counts the end of a request that was counted by Begin.
func (b *Backend) End() { b.InFlight.Add(-1) }

// well tells whether b is to get requests: neither down nor ejected nor drained.
func (b *Backend) well(now int64) bool {
	return b.Health() != Down && !b.record.out(now) && !b.Draining()
}

// full is the share of its weight that a backend in good order has.
const full = 100

// warmth is the share, 1 to full, of its weight that b has so long after it was
// down or left out: it may have to fill its caches first.
func (b *Backend) warmth(now int64, slowStart time.Duration) int64 {
	start := max(b.back.Load(), b.record.until.Load())
	if start == 0 || now-start >= int64(slowStart) {
		return full
	}
	return max(1, full*(now-start)/int64(slowStart))
}

// check says what is wrong with the address of a backend.
func check(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q is not http or https", u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("%q has no host", u.Redacted())
	case u.Path != "" && u.Path != "/":
		return fmt.Errorf("%q has a path; requests are forwarded unaltered", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.Opaque != "":
		return fmt.Errorf("%q is more than scheme, host and port", u.Redacted())
	}
	return nil
}
