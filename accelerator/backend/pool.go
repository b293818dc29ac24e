// Package backend holds the servers behind the box: who they are, whose turn it
// is, and what has become of the requests sent to them.
//
// Both tiers choose from the same Pool, so this package knows nothing of HTTP
// beyond the scheme of an address, and everything that changes is an atomic.
package backend

import (
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
)

// Backend is one server of the farm. Its address never changes; its counters
// are safe to read and change at any time.
type Backend struct {
	URL *url.URL // scheme "http" or "https" and host[:port], nothing else; immutable, do not modify

	Requests atomic.Uint64 // requests begun with this backend, failed attempts included
	InFlight atomic.Int64  // requests begun and not yet ended; a tunnel counts until it closes
	Failures atomic.Uint64 // requests that this backend failed: no connection, no answer, a bad or a broken one
}

// Begin counts a request that is about to be sent to b. Every Begin is followed
// by exactly one End.
func (b *Backend) Begin() {
	b.Requests.Add(1)
	b.InFlight.Add(1)
}

// End counts the end of a request that was counted by Begin.
func (b *Backend) End() { b.InFlight.Add(-1) }

// Pool is one or more backends that are taken in turn. It is safe for use by
// any number of goroutines. Make one with NewPool.
type Pool struct {
	backends []*Backend // immutable
	turn     atomic.Uint64
}

// NewPool returns a pool of the servers at the given addresses, in that order.
// An address is an absolute URL without path, query or user; a path of "/" is
// taken for none. It is an error to give none, or the same one twice.
func NewPool(addresses ...*url.URL) (*Pool, error) {
	if len(addresses) == 0 {
		return nil, fmt.Errorf("a pool needs at least one backend")
	}
	p := &Pool{}
	for i, a := range addresses {
		if err := check(a); err != nil {
			return nil, fmt.Errorf("backend %d: %w", i, err)
		}
		u := &url.URL{Scheme: a.Scheme, Host: a.Host}
		for _, b := range p.backends {
			if *b.URL == *u {
				return nil, fmt.Errorf("backend %d: %s is in the pool already", i, u)
			}
		}
		p.backends = append(p.backends, &Backend{URL: u})
	}
	return p, nil
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

// Next returns the backend whose turn it is, leaving out those that were tried
// for this request already, or nil when none is left. Only a first try moves
// the turn on, so that a dead backend does not push all requests onto the same
// neighbour. Weights, health and draining will be decided here.
func (p *Pool) Next(tried ...*Backend) *Backend {
	n := len(p.backends)
	var start int
	if len(tried) == 0 {
		start = int((p.turn.Add(1) - 1) % uint64(n))
	} else {
		start = slices.Index(p.backends, tried[len(tried)-1]) + 1
	}
	for i := range n {
		if b := p.backends[(start+i)%n]; !slices.Contains(tried, b) {
			return b
		}
	}
	return nil
}

// Backends returns all backends in the order they were given. The caller must
// not change the slice.
func (p *Pool) Backends() []*Backend { return p.backends }
