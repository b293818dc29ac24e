package backend

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Backend is one server of the farm. Its address never changes; all else is
// safe to read and change at any time. It outlives the pools it is in: see
// Pool.Inherit.
type Backend struct {
	// URL is what it is called: scheme and host[:port], and for one of the addresses
	// behind a name that address as fragment; or "unix" and the path of a socket.
	// Immutable, do not modify.
	URL *url.URL
	// Origin is what requests are sent to: scheme "http" or "https" and host[:port].
	// Immutable, do not modify.
	Origin *url.URL

	Requests  atomic.Uint64 // requests begun with this backend, failed attempts included
	InFlight  atomic.Int64  // requests begun and not yet ended; a tunnel counts until it closes
	Failures  atomic.Uint64 // requests that this backend failed: no connection, no answer, a bad or a broken one
	Ejections atomic.Uint64 // times that it was left out because of its failures

	network, address string // where to connect to, for net.Dial; an empty address: it is not known yet; immutable

	text   string // the URL as one; immutable
	hash   uint64 // of the URL; immutable
	id     string // of that; immutable
	drain  atomic.Bool
	maint  atomic.Bool            // drained, and for those as well who stay
	report atomic.Pointer[Report] // nil: it has no agent, or that has said nothing yet
	health atomic.Int32           // a Health
	back   atomic.Int64           // when it came up after it was down, in nanoseconds since 1970; 0: never
	record record
}

// newBackend makes the backend of a server that was checked.
func newBackend(s *Server) *Backend {
	if s.URL.Scheme == "unix" {
		u := &url.URL{Scheme: "unix", Path: s.URL.Path}
		b := &Backend{URL: u, Origin: &url.URL{Scheme: "http", Host: "localhost"}, network: "unix", address: u.Path}
		b.name()
		return b
	}
	origin := &url.URL{Scheme: s.URL.Scheme, Host: s.URL.Host}
	name := *origin
	b := &Backend{URL: &name, Origin: origin, network: "tcp"}
	switch {
	case s.Address.IsValid():
		name.Fragment = s.Address.String()
		b.address = net.JoinHostPort(s.Address.String(), portOf(origin))
	case !s.Unresolved:
		b.address = net.JoinHostPort(origin.Hostname(), portOf(origin))
	}
	b.name()
	return b
}

// name derives from the URL what the backend is known by.
func (b *Backend) name() {
	b.text = b.URL.String()
	b.hash = xxhash.Sum64String(b.text)
	b.id = strconv.FormatUint(b.hash, 36)
}

// String is the URL as text: what metrics and logs call the backend.
func (b *Backend) String() string { return b.text }

// portOf is the port of an address, or its scheme's.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// ErrUnresolved is the error of connecting to a backend whose name has no address.
var ErrUnresolved = errors.New("no address is known for its name yet")

// Endpoint returns where to connect to, as for net.Dial.
func (b *Backend) Endpoint() (network, address string, err error) {
	if b.address == "" {
		return "", "", ErrUnresolved
	}
	return b.network, b.address, nil
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
// flight go on, and so do tunnels; clients that stay with it stay.
func (b *Backend) Drain(on bool) {
	b.maint.Store(false)
	b.drain.Store(on)
}

// Maintain is Drain(true), for clients that stay with it too: they go elsewhere.
func (b *Backend) Maintain() {
	b.maint.Store(true)
	b.drain.Store(true)
}

// Maintained reports whether nobody is to come, not even those who stay.
func (b *Backend) Maintained() bool { return b.maint.Load() }

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

// well tells whether b is to get requests: neither down nor ejected nor drained,
// and to be found.
func (b *Backend) well(now int64) bool {
	return !b.Down() && !b.record.out(now) && !b.kept() && b.address != ""
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
	case u.Scheme == "unix" && (u.Host != "" || !strings.HasPrefix(u.Path, "/")):
		return fmt.Errorf("%q has no absolute path of a socket", u.Redacted())
	case u.Scheme == "unix":
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q is not http, https or unix", u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("%q has no host", u.Redacted())
	case u.Path != "" && u.Path != "/":
		return fmt.Errorf("%q has a path; requests are forwarded unaltered", u.Redacted())
	}
	switch {
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.Opaque != "":
		return fmt.Errorf("%q is more than scheme, host and port, or path of a socket", u.Redacted())
	}
	return nil
}
