package main

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/config"
	"ramjet/accelerator/resolver"
)

// firstAnswer is how long a configuration waits for the names that it brings, before
// it goes live without them.
const firstAnswer = 2 * time.Second

var families = map[string]string{"any": resolver.Any, "ipv4": resolver.IPv4, "ipv6": resolver.IPv6}

// follow keeps the names of a configuration current, and those of these pools, but
// no others.
func (s *server) follow(c *config.Config, also ...config.Pool) {
	ctx, cancel := context.WithTimeout(context.Background(), firstAnswer)
	defer cancel()
	s.names.Watch(ctx, resolver.Settings{
		Resolver: resolver.Resolver{Server: c.DNS.Server, Family: families[c.DNS.Addresses]},
		MinTTL:   c.DNS.MinTTL, MaxTTL: c.DNS.MaxTTL,
	}, append(namesOf(c.AllPools()), namesOf(also)...))
}

// namesOf are the names of the pools' backends.
func namesOf(pools []config.Pool) []resolver.Name {
	var names []resolver.Name
	for _, p := range pools {
		for i := range p.Backends {
			if p.Backends[i].Named() {
				names = append(names, nameOf(&p.Backends[i]))
			}
		}
	}
	return names
}

func nameOf(b *config.Backend) resolver.Name {
	_, service := b.Service()
	return resolver.Name{Host: b.URL.Hostname(), SRV: service}
}

// targets returns what is known of a name.
type targets func(resolver.Name) []resolver.Target

// serversOf are the servers behind configured backends: each address of a name is
// one. A name of which nothing is known stands for itself.
func serversOf(all []config.Backend, known targets) []backend.Server {
	var servers []backend.Server
	for i := range all {
		b := &all[i]
		if !b.Named() {
			servers = append(servers, backend.Server{URL: b.URL, Weight: b.Weight})
			continue
		}
		found := known(nameOf(b))
		scheme, service := b.Service()
		switch {
		case len(found) == 0:
			servers = append(servers, backend.Server{URL: &url.URL{Scheme: scheme, Host: b.URL.Host}, Weight: b.Weight, Unresolved: true})
		case service:
			servers = append(servers, fromRecords(scheme, found)...)
		default:
			for _, t := range found {
				servers = append(servers, backend.Server{URL: b.URL, Weight: b.Weight, Address: t.Addr})
			}
		}
	}
	return distinct(servers)
}

// fromRecords are the servers of a service. The weights of a pool are smaller than
// those of SRV records can be.
func fromRecords(scheme string, found []resolver.Target) []backend.Server {
	heaviest := uint16(1)
	for _, t := range found {
		heaviest = max(heaviest, t.Weight)
	}
	var servers []backend.Server
	for _, t := range found {
		weight := int(t.Weight)
		if heaviest > backend.MaxWeight {
			weight = weight * backend.MaxWeight / int(heaviest)
		}
		servers = append(servers, backend.Server{
			URL:     &url.URL{Scheme: scheme, Host: net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))},
			Address: t.Addr, Weight: max(weight, 1), Priority: int(t.Priority),
		})
	}
	return servers
}

// distinct leaves out a server that is there already: a service may name one that
// is configured, too.
func distinct(all []backend.Server) []backend.Server {
	type id struct {
		url     string
		address netip.Addr
	}
	seen := map[id]bool{}
	kept := all[:0]
	for _, s := range all {
		k := id{s.URL.String(), s.Address}
		if !seen[k] {
			seen[k] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// resolved puts new addresses of names to work.
func (s *server) resolved() {
	s.farming.Lock()
	defer s.farming.Unlock()
	now := s.live.Load()
	if now == nil {
		return
	}
	for _, settings := range now.config.AllPools() {
		p := now.farm.pool(settings.Name)
		if err := p.Pool.Set(serversOf(settings.Backends, s.names.Targets)); err != nil {
			p.Log.Error("the addresses of the farm stay as they were", "err", err)
		}
		s.pools.of(p.Name).checker.Follow(p.Pool.Backends())
	}
}

// nameStatus is what GET /status says of a name.
type nameStatus struct {
	Name     string     `json:"name"`
	Targets  []string   `json:"targets"`
	Answered *time.Time `json:"answered,omitempty"` // nil: never
	Next     time.Time  `json:"next"`               // question
	Error    string     `json:"error,omitempty"`    // of the last question
}

func (s *server) nameStates() []nameStatus {
	rows := []nameStatus{}
	for _, n := range s.names.States() {
		row := nameStatus{Name: n.Name.Host, Targets: []string{}, Next: n.Due}
		if n.Name.SRV {
			row.Name += " (SRV)"
		}
		for _, t := range n.Targets {
			row.Targets = append(row.Targets, t.String())
		}
		if !n.Answered.IsZero() {
			row.Answered = &n.Answered
		}
		if n.Err != nil {
			row.Error = n.Err.Error()
		}
		rows = append(rows, row)
	}
	return rows
}

// withoutAddress is a backend's name as it is configured.
func withoutAddress(u *url.URL) string {
	name, _, _ := strings.Cut(u.String(), "#")
	return name
}
