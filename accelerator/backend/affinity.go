package backend

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Choice is what a request wants of Pool.Take beyond a backend that is well.
type Choice struct {
	// Key is a hash of what requests that belong together have in common: with
	// the balance Hash they go to the same backend. 0 is no key.
	Key uint64
	// Stay is the backend that the client was sent to before, nil for none. It
	// gets the request if it is well and has room, drained or not.
	Stay *Backend
	// Tried are the backends that failed the request already.
	Tried []*Backend

	paid bool // its share into the budget for repetitions
}

// Key is the hash of a text for Choice.Key.
func Key(s string) uint64 { return max(xxhash.Sum64String(s), 1) }

// ID names a backend in a cookie: it tells whom it is about to those who know the
// address, and stays the same over restarts and on every box.
func (b *Backend) ID() string { return b.id }

// ByID returns the backend of that name, or nil.
func (p *Pool) ByID(id string) *Backend {
	for _, b := range p.Backends() {
		if b.ID() == id {
			return b
		}
	}
	return nil
}

// overload is how much more than its share a backend may have in flight before
// Hash passes it over: consistent hashing with bounded loads (Mirrokni, Thorup,
// Zadimoghaddam, 2016), in percent.
const overload = 125

// byHash is weighted rendezvous hashing: of all pairs of the key and a backend the
// best one wins, so that a backend that leaves takes only its own keys with it.
func byHash(from []candidate, key uint64) *member {
	var inFlight, shares int64 = 1, 0
	for _, c := range from {
		inFlight += c.InFlight.Load()
		shares += c.share
	}
	var best, fallback *member
	bestScore, fallbackScore := -1.0, -1.0
	for _, c := range from {
		score := c.score(key)
		if score > fallbackScore {
			fallback, fallbackScore = c.member, score
		}
		bound := (overload*inFlight*c.share + 100*shares - 1) / (100 * shares) // rounded up: one is always allowed
		if score > bestScore && c.InFlight.Load() < bound {
			best, bestScore = c.member, score
		}
	}
	if best == nil {
		return fallback
	}
	return best
}

// score is greater than 0; the greatest is as likely to be c's as its share says.
func (c candidate) score(key uint64) float64 {
	h := mix(key ^ c.hash)
	u := (float64(h>>11) + 0.5) / (1 << 53) // in (0, 1)
	return -float64(c.share) / math.Log(u)
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood, 2014): all bits of x have
// a say in all of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// stay returns the backend that a client was sent to before, if it can have the
// request.
func (p *Pool) stay(c *Choice, now int64) *Backend {
	b := c.Stay
	if b == nil || !slices.Contains(p.Backends(), b) || b.Down() || b.Maintained() || b.Report().Maint || b.record.out(now) {
		return nil
	}
	for _, t := range c.Tried {
		if t == b {
			return nil
		}
	}
	return b
}
