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
//	agent.go    what a backend's agent says of it    hold.go     waiting for one to come back
//	attempt.go  a request that one has failed
package backend

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a backend as it is configured.
type Server struct {
	URL    *url.URL // http or https, without path, query or user; a path of "/" is taken for none; or unix with nothing but a path
	Weight int      // its share of the requests against the others'; 0 is 1

	// Address is one of those that the host of URL stands for; the zero Addr leaves
	// it to the system to look that up at each connection.
	Address netip.Addr
	// Unresolved is for a host of which nothing is known yet: it gets no requests
	// while there are others.
	Unresolved bool
	// Priority is whose turn it is first: a server gets requests only while none of
	// a lower number is well.
	Priority int
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
	weight   int64
	priority int
	current  int64 // of RoundRobin; guarded by Pool.mu
}

// roster is who is in a pool at a time. Immutable, but for the turns.
type roster struct {
	members  []*member
	backends []*Backend
	tiers    bool // not all have the same priority
}

func (r *roster) add(b *Backend, s *Server) {
	m := &member{Backend: b, weight: int64(max(s.Weight, 1)), priority: s.Priority}
	r.tiers = r.tiers || len(r.members) > 0 && r.members[0].priority != m.priority
	r.members = append(r.members, m)
	r.backends = append(r.backends, b)
}

func (r *roster) find(u *url.URL) *member {
	i := slices.IndexFunc(r.members, func(m *member) bool { return *m.URL == *u })
	if i < 0 {
		return nil
	}
	return r.members[i]
}

// Pool is one or more backends. It is safe for use by any number of goroutines.
// Make one with NewPool.
type Pool struct {
	settings Settings // immutable; Servers is not used once the pool is made
	roster   atomic.Pointer[roster]
	budget   budget
	queue    queue
	hold     hold

	mu sync.Mutex // guards the turns of RoundRobin, and the number of the ejected
}

// MaxWeight is the largest weight.
const MaxWeight = 1000

// NewPool returns a pool of the servers, in their order. It is an error to give
// none, or the same one twice.
func NewPool(settings Settings) (*Pool, error) {
	if settings.Now == nil {
		settings.Now = time.Now
	}
	p := &Pool{settings: settings}
	p.budget.income = 10 * int64(settings.RetryShare)
	p.budget.saved.Store(min(startBudget, startBudget*int64(settings.RetryShare)))
	p.roster.Store(&roster{})
	if err := p.Set(settings.Servers); err != nil {
		return nil, err
	}
	return p, nil
}

// Set makes the servers, in their order, those of the pool. Those that stay keep
// all that is known of them, and nobody loses a request or a tunnel: those of a
// backend that leaves go on. After an error nothing has changed.
func (p *Pool) Set(servers []Server) error {
	if len(servers) == 0 {
		return fmt.Errorf("a pool needs at least one backend")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, next := p.roster.Load(), &roster{}
	for i := range servers {
		s := &servers[i]
		if err := check(s.URL); err != nil {
			return fmt.Errorf("backend %d: %w", i, err)
		}
		if s.Weight < 0 || s.Weight > MaxWeight {
			return fmt.Errorf("backend %d: weight %d is not 1 to %d", i, s.Weight, MaxWeight)
		}
		b := newBackend(s)
		if next.find(b.URL) != nil {
			return fmt.Errorf("backend %d: %s is in the pool already", i, b.URL)
		}
		var current int64
		if m := before.find(b.URL); m != nil && m.address == b.address {
			b, current = m.Backend, m.current
		}
		next.add(b, s)
		next.members[i].current = current
	}
	p.roster.Store(next)
	return nil
}

// Inherit takes over the backends of an older pool that are in this one too:
// with their counters, their health and their requests in flight. Call it before
// the pool is used.
func (p *Pool) Inherit(old *Pool) {
	r, from := p.roster.Load(), old.roster.Load()
	for i, m := range r.members {
		if o := from.find(m.URL); o != nil && o.address == m.address {
			m.Backend, r.backends[i] = o.Backend, o.Backend
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
	if b := p.stay(c, now); b != nil && p.room(b) {
		return b, false
	}
	var room [16]candidate
	r := p.roster.Load()
	from, _ := p.candidates(room[:0], r, now)
	if len(c.Tried) > 0 {
		from = slices.DeleteFunc(from, func(f candidate) bool { return slices.Contains(c.Tried, f.Backend) })
	}
	if r.tiers {
		from = firstTier(from)
	}
	if slices.ContainsFunc(from, func(c candidate) bool { return !p.room(c.Backend) }) {
		from = slices.DeleteFunc(from, func(c candidate) bool { return !p.room(c.Backend) })
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

// candidates appends those who may get requests at the time, and reports whether they
// are well.
func (p *Pool) candidates(from []candidate, r *roster, now int64) (_ []candidate, well bool) {
	for _, m := range r.members {
		if m.well(now) {
			well = true
			from = append(from, candidate{m, m.weight * m.ready(m.warmth(now, p.settings.SlowStart))})
		}
	}
	if well {
		return from, true
	}
	for _, m := range r.members {
		if !m.kept() {
			from = append(from, candidate{m, m.weight * full})
		}
	}
	return from, false
}

// firstTier leaves those whose turn it is first.
func firstTier(from []candidate) []candidate {
	first := math.MaxInt
	for _, c := range from {
		first = min(first, c.priority)
	}
	return slices.DeleteFunc(from, func(c candidate) bool { return c.priority != first })
}

// Backends returns the backends of this moment in the order they were given. The
// caller must not change the slice.
func (p *Pool) Backends() []*Backend { return p.roster.Load().backends }

// Weight returns the weight of a backend of this pool.
func (p *Pool) Weight(b *Backend) int {
	for _, m := range p.roster.Load().members {
		if m.Backend == b {
			return int(m.weight)
		}
	}
	return 0
}
