// Package backend holds the servers behind the box: who they are, how they are,
// whose turn it is, and what has become of the requests sent to them.
//
// Both tiers choose from the same Pool, so this package knows nothing of HTTP
// beyond the scheme of an address.
//
//	backend.go  Backend: address, counters, health   balance.go  whose turn it is
//	pool.go     Pool: its members, Next              eject.go    left out because of failures
//	budget.go   how many requests may be sent again  queue.go    waiting for one with room
//	affinity.go requests that belong together        explain.go  all that in words
package backend

import (
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Server is a backend as it is configured.
type Server struct {
	URL    *url.URL // absolute, without path, query or user; a path of "/" is taken for none
	Weight int      // its share of the requests against the others'; 0 is 1
}

// Settings are what a pool is made of. The zero value of all but Servers is usable.
type Settings struct {
	Servers  []Server
	Balance  Balance
	Ejection Ejection
	Limits   Limits
	// SlowStart is how long a backend that was down or ejected takes to come back to
	// its full weight; 0 is no time.
	SlowStart time.Duration
	// RetryShare is how many requests may be sent again, in percent of all.
	RetryShare int
	// Now is the clock, for tests; time.Now if nil.
	Now func() time.Time
}

// member is a backend with what it is in this pool alone.
type member struct {
	*Backend
	weight  int64
	current int64 // of RoundRobin; guarded by Pool.mu
}

// Pool is one or more backends. It is safe for use by any number of goroutines.
// Make one with NewPool.
type Pool struct {
	settings Settings
	members  []*member // immutable but for the fields that mu guards
	backends []*Backend
	budget   budget
	queue    queue

	mu sync.Mutex // guards the turns of RoundRobin, and the number of the ejected
}

// MaxWeight is the largest weight.
const MaxWeight = 1000

// NewPool returns a pool of the servers, in their order. It is an error to give
// none, or the same one twice.
func NewPool(settings Settings) (*Pool, error) {
	if len(settings.Servers) == 0 {
		return nil, fmt.Errorf("a pool needs at least one backend")
	}
	if settings.Now == nil {
		settings.Now = time.Now
	}
	p := &Pool{settings: settings}
	p.budget.income = 10 * int64(settings.RetryShare)
	p.budget.saved.Store(min(startBudget, startBudget*int64(settings.RetryShare)))
	for i, s := range settings.Servers {
		if err := check(s.URL); err != nil {
			return nil, fmt.Errorf("backend %d: %w", i, err)
		}
		if s.Weight < 0 || s.Weight > MaxWeight {
			return nil, fmt.Errorf("backend %d: weight %d is not 1 to %d", i, s.Weight, MaxWeight)
		}
		u := &url.URL{Scheme: s.URL.Scheme, Host: s.URL.Host}
		if p.find(u) != nil {
			return nil, fmt.Errorf("backend %d: %s is in the pool already", i, u)
		}
		p.add(&Backend{URL: u, hash: xxhash.Sum64String(u.String())}, s.Weight)
	}
	return p, nil
}

func (p *Pool) add(b *Backend, weight int) {
	p.members = append(p.members, &member{Backend: b, weight: int64(max(weight, 1))})
	p.backends = append(p.backends, b)
}

func (p *Pool) find(u *url.URL) *Backend {
	i := slices.IndexFunc(p.backends, func(b *Backend) bool { return *b.URL == *u })
	if i < 0 {
		return nil
	}
	return p.backends[i]
}

// Inherit takes over the backends of an older pool that are in this one too:
// with their counters, their health and their requests in flight. Call it before
// the pool is used.
func (p *Pool) Inherit(old *Pool) {
	for i, m := range p.members {
		if b := old.find(m.URL); b != nil {
			m.Backend, p.backends[i] = b, b
		}
	}
}

// Next returns the backend that a request is to be sent to, leaving out those
// that were tried for it already and those that have no room, or nil when none
// is left. Backends that are down or ejected get nothing while another is well.
// If none is, all get requests as if they were, for a check may be wrong, and there
// is nothing to lose. One that is drained gets none in any case.
func (p *Pool) Next(tried ...*Backend) *Backend {
	if len(tried) == 0 {
		p.budget.pay()
	}
	b, _ := p.next(&Choice{Tried: tried})
	return b
}

// next reports, if there is no backend, whether that is for want of room.
func (p *Pool) next(c *Choice) (b *Backend, crowded bool) {
	now := p.settings.Now().UnixNano()
	most := int64(p.settings.Limits.InFlight)
	if b := p.stay(c, now); b != nil && (most == 0 || b.InFlight.Load() < most) {
		return b, false
	}
	var room [16]candidate
	from := room[:0]
	anybody := false
	for _, m := range p.members {
		if m.well(now) {
			anybody = true
			from = append(from, candidate{m, m.weight * m.warmth(now, p.settings.SlowStart)})
		}
	}
	if !anybody {
		for _, m := range p.members {
			if !m.Draining() {
				from = append(from, candidate{m, m.weight * full})
			}
		}
	}
	if len(c.Tried) > 0 {
		from = slices.DeleteFunc(from, func(f candidate) bool { return slices.Contains(c.Tried, f.Backend) })
	}
	if most > 0 && len(from) > 0 {
		from = slices.DeleteFunc(from, func(c candidate) bool { return c.InFlight.Load() >= most })
		crowded = len(from) == 0
	}
	switch len(from) {
	case 0:
		return nil, crowded
	case 1:
		return from[0].Backend, false
	}
	return p.choose(from, c.Key), false
}

// Backends returns all backends in the order they were given. The caller must
// not change the slice.
func (p *Pool) Backends() []*Backend { return p.backends }

// Weight returns the weight of a backend of this pool.
func (p *Pool) Weight(b *Backend) int {
	for _, m := range p.members {
		if m.Backend == b {
			return int(m.weight)
		}
	}
	return 0
}
