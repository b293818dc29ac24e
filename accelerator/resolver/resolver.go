// Package resolver keeps the names of backends current: it asks DNS again when an
// answer's time is over, and keeps the last good one when DNS fails.
//
//	resolver.go  Resolver: one question      watch.go  Watcher: asked again and again
//	ttl.go       how long an answer is good
//
// The questions are asked by Go's own resolver, which checks that an answer belongs
// to its question, tries other servers and TCP, and knows resolv.conf, as the DHCP
// client of a box writes it, and the hosts file. What it does not tell is how long
// an answer is good: that is read as it passes by.
package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Name is what is asked for: the addresses of a host, or with SRV the servers of
// a service (RFC 2782).
type Name struct {
	Host string
	SRV  bool
}

// Target is one server behind a name. Host, Port, Priority and Weight are those of
// the SRV record, and zero for a name without.
type Target struct {
	Addr     netip.Addr
	Host     string
	Port     uint16
	Priority uint16
	Weight   uint16
}

// String is the address, and what else the record says.
func (t Target) String() string {
	if t.Host == "" {
		return t.Addr.String()
	}
	return fmt.Sprintf("%s:%d at %s, priority %d, weight %d", t.Host, t.Port, t.Addr, t.Priority, t.Weight)
}

// The kinds of addresses.
const (
	Any  = "ip"
	IPv4 = "ip4"
	IPv6 = "ip6"
)

// Resolver asks. The zero value asks as the system is set up.
type Resolver struct {
	Server  string        // host:port of a DNS server; empty: those of resolv.conf
	Family  string        // Any, IPv4 or IPv6; empty is Any
	Timeout time.Duration // for one name, all in all; 0 is 15 s: three tries of Go's resolver
}

// The bounds of one answer. What is beyond them is left out.
const (
	maxServices = 32
	maxTargets  = 64
)

// ErrNothing is the error of an answer that has no address a server can have.
var ErrNothing = errors.New("the answer has no usable address")

// ask returns the targets of a name, sorted, and how long they are good. What
// could not be learned this time is taken from last.
func (r *Resolver) ask(ctx context.Context, n Name, last []Target) ([]Target, time.Duration, error) {
	timeout := cmp.Or(r.Timeout, 15*time.Second)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	var out []Target
	var ttl lifetime
	var err error
	if n.SRV {
		out, err = r.service(ctx, n.Host, last, &ttl)
	} else {
		out, err = r.host(ctx, Target{}, n.Host, last, &ttl)
	}
	out = distinct(out)
	switch {
	case err != nil:
	case len(out) == 0:
		err = ErrNothing
	default:
		return out, ttl.get(), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if e, ok := errors.AsType[*net.DNSError](err); ok && r.Server != "" {
		e.Server = r.Server // Go names the one that it would have asked.
	}
	return nil, 0, err
}

// distinct sorts, the best first, and leaves out what is there twice or too much.
func distinct(all []Target) []Target {
	slices.SortFunc(all, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port),
			a.Addr.Compare(b.Addr), cmp.Compare(b.Weight, a.Weight))
	})
	seen := map[Target]bool{}
	all = slices.DeleteFunc(all, func(t Target) bool {
		server := Target{Addr: t.Addr, Host: t.Host, Port: t.Port}
		twice := seen[server]
		seen[server] = true
		return twice
	})
	return all[:min(len(all), maxTargets)]
}

// service asks for the servers of a service, then for their addresses.
func (r *Resolver) service(ctx context.Context, name string, last []Target, ttl *lifetime) ([]Target, error) {
	// An error may come with records: without those that have no proper name.
	_, records, err := r.client(ttl).LookupSRV(ctx, "", "", name)
	if len(records) == 0 {
		return nil, cmp.Or(err, ErrNothing)
	}
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return cmp.Compare(a.Priority, b.Priority) })
	var (
		asking sync.WaitGroup
		mu     sync.Mutex // guards what follows
		out    []Target
		failed error
	)
	for _, record := range records[:min(len(records), maxServices)] {
		if record.Target == "." || record.Port == 0 {
			continue // RFC 2782: there is no such service.
		}
		asking.Go(func() {
			t := Target{Host: strings.ToLower(strings.TrimSuffix(record.Target, ".")), Port: record.Port, Priority: record.Priority, Weight: record.Weight}
			var before []Target
			for _, l := range last {
				if l.Host == t.Host && l.Port == t.Port {
					before = append(before, l)
				}
			}
			found, err := r.host(ctx, t, record.Target, before, ttl)
			if err != nil && !missing(err) {
				found = before
			}
			mu.Lock()
			defer mu.Unlock()
			if out = append(out, found...); err != nil {
				failed = err
			}
		})
	}
	asking.Wait()
	if len(out) > 0 {
		return out, nil
	}
	return nil, failed
}

// host asks for the addresses of a host, and returns a copy of t for each. If
// there is an answer for one family and none at all for the other, that one keeps
// what it had.
func (r *Resolver) host(ctx context.Context, t Target, name string, last []Target, ttl *lifetime) ([]Target, error) {
	var families []string
	switch r.Family {
	case "", Any:
		families = []string{IPv4, IPv6}
	default:
		families = []string{r.Family}
	}
	found, errs := make([][]netip.Addr, len(families)), make([]error, len(families))
	var asking sync.WaitGroup
	for i, family := range families {
		asking.Go(func() { found[i], errs[i] = r.client(ttl).LookupNetIP(ctx, family, name) })
	}
	asking.Wait()
	var out []Target
	answered := false
	for i, family := range families {
		if errs[i] != nil && !missing(errs[i]) {
			for _, l := range last {
				if l.Addr.Is4() == (family == IPv4) {
					found[i] = append(found[i], l.Addr)
				}
			}
			ttl.limit(0) // It is worth asking soon.
		} else {
			answered = answered || errs[i] == nil
		}
		for _, a := range found[i] {
			if a = a.Unmap(); usable(a) {
				t.Addr = a
				out = append(out, t)
			}
		}
	}
	if answered {
		return out, nil
	}
	for _, err := range errs {
		if !missing(err) {
			return nil, err // It says more than that there is no such host.
		}
	}
	return nil, errs[0]
}

// missing reports whether the answer was that there is nothing, or nothing of that
// family.
func missing(err error) bool {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.IsNotFound
	}
	_, ok := errors.AsType[*net.AddrError](err)
	return ok
}

// usable reports whether a server can have the address.
func usable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && a.Zone() == ""
}

// client is a resolver that notes how long its answers are good. Each question has
// its own, or Go would give the same answer to two who ask at the same time, and
// only one of them would learn that.
func (r *Resolver) client(ttl *lifetime) *net.Resolver {
	return &net.Resolver{
		PreferGo:     true, // libc tells no TTL, and a box has none.
		StrictErrors: true,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, cmp.Or(r.Server, address))
			if err != nil {
				return nil, err
			}
			return ttl.witness(c), nil
		},
	}
}
