package backend

import (
	"math/rand/v2"
	"slices"
)

// Balance is how a pool chooses among backends that are well.
type Balance int

// The ways to choose. All of them heed the weights.
const (
	// TwoChoices takes the less busy one of two at random: nearly as even as
	// LeastConnections, and many proxies that do not know of each other do not all
	// run to the same backend (Mitzenmacher, The Power of Two Choices in Randomized
	// Load Balancing, 2001).
	TwoChoices Balance = iota
	// LeastConnections takes the one with the fewest requests in flight.
	LeastConnections
	// RoundRobin takes one after the other, smoothly: those with a greater weight
	// come oftener, but not in a row.
	RoundRobin
	// Hash sends requests with the same key to the same backend, unless that has
	// more than its share to do; those without a key as TwoChoices does.
	Hash
)

// candidate is a member that may be chosen for a request, and what its weight
// counts just now, in hundredths.
type candidate struct {
	*member
	share int64
}

// choose takes one of two or more.
func (p *Pool) choose(from []candidate, key uint64) *Backend {
	switch p.settings.Balance {
	case Hash:
		if key != 0 {
			return byHash(from, key).Backend
		}
	case LeastConnections:
		return leastBusy(from).Backend
	case RoundRobin:
		return p.inTurn(from).Backend
	}
	first := atRandom(from)
	from[first], from[len(from)-1] = from[len(from)-1], from[first]
	one, rest := from[len(from)-1], from[:len(from)-1]
	other := rest[atRandom(rest)]
	if other.busier(one) {
		return one.Backend
	}
	if one.busier(other) || rand.IntN(2) == 0 && one.share == other.share {
		return other.Backend
	}
	return one.Backend
}

// busier compares what each would have in flight, by weight.
func (c candidate) busier(other candidate) bool {
	return (c.InFlight.Load()+1)*other.share > (other.InFlight.Load()+1)*c.share
}

// atRandom returns an index, each as likely as its weight says.
func atRandom(from []candidate) int {
	var sum int64
	for _, c := range from {
		sum += c.share
	}
	point := rand.Int64N(sum)
	return slices.IndexFunc(from, func(c candidate) bool {
		point -= c.share
		return point < 0
	})
}

// leastBusy begins anywhere, so that the first does not get all while nobody is
// busy.
func leastBusy(from []candidate) candidate {
	start := rand.IntN(len(from))
	best := from[start]
	for i := 1; i < len(from); i++ {
		if c := from[(start+i)%len(from)]; best.busier(c) {
			best = c
		}
	}
	return best
}

// inTurn is nginx's smooth weighted round robin: each gains its weight, the
// richest is taken and pays for all.
func (p *Pool) inTurn(from []candidate) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *member
	var sum int64
	for _, c := range from {
		c.current += c.share
		sum += c.share
		if best == nil || c.current > best.current {
			best = c.member
		}
	}
	best.current -= sum
	return best
}
