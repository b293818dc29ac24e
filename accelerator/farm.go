package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"

	"ramjet/accelerator/admin"
	"ramjet/accelerator/backend"
	"ramjet/accelerator/config"
	"ramjet/accelerator/health"
	"ramjet/accelerator/proxy"
	"ramjet/accelerator/proxyproto"
)

// The words of the configuration and what they mean.
var (
	balances = map[string]backend.Balance{
		"two_choices": backend.TwoChoices, "least_connections": backend.LeastConnections, "round_robin": backend.RoundRobin,
		"hash": backend.Hash,
	}
	hashOn = map[string]proxy.HashOn{
		"address": proxy.HashAddress, "path": proxy.HashPath, "header": proxy.HashHeader, "cookie": proxy.HashCookie,
	}
	greetings  = map[string]proxy.Greeting{"off": proxy.NoGreeting, "v1": proxy.ProxyProtocol1, "v2": proxy.ProxyProtocol2}
	identities = map[string]proxy.Identity{"x_forwarded": proxy.XForwarded, "forwarded": proxy.Forwarded, "both": proxy.Both}
	checks     = map[string]health.Kind{"tcp": health.TCP, "http": health.HTTP, "off": health.Off}
)

// newPool makes the pool of the configured backends.
func newPool(p *config.Pool, known targets) (*backend.Pool, error) {
	s := backend.Settings{
		Balance:    balances[p.Forward.Balance],
		Limits:     backend.Limits{InFlight: p.Forward.InFlight, Queue: p.Forward.Queue, QueueTime: p.Forward.QueueTime},
		SlowStart:  p.Forward.SlowStart,
		RetryShare: p.Forward.RetryShare,
		Ejection:   backend.Ejection{Failures: p.Ejection.Failures, Time: p.Ejection.Time, Most: p.Ejection.Most},
	}
	s.Servers = serversOf(p.Backends, known)
	return backend.NewPool(s)
}

// healthCheck is what the backends are asked.
func healthCheck(p *config.Pool, secure *tls.Config) health.Check {
	h := &p.Health
	check := health.Check{
		TLS:  secure.Clone(),
		Kind: checks[h.Check], Path: h.Path, Host: h.Host, Body: h.Body,
		Greeting: greetings[p.Forward.ProxyProtocol].Append(nil, proxyproto.Header{}),
		Agent:    health.Agent{Port: h.AgentPort, Send: h.AgentSend, Interval: h.Interval, Timeout: h.Timeout},
		Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall,
	}
	for _, r := range h.Status {
		check.Status = append(check.Status, health.Range(r))
	}
	return check
}

// backendTLS reads the files of a pool's forward.tls. Nil is the default: the
// system's roots.
func backendTLS(p *config.Pool) (*tls.Config, error) {
	t := p.Forward.TLS
	if t == (config.TLS{}) {
		return nil, nil
	}
	setting := "forward.tls"
	if p.Name != config.DefaultPool {
		setting = "pools." + p.Name + "." + setting
	}
	out := &tls.Config{ServerName: t.Name}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("%s.ca: %w", setting, err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s.ca: %s has no certificate in PEM form", setting, t.CA)
		}
	}
	if t.Certificate != "" {
		own, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("%s.certificate: %s: %w", setting, t.Certificate, err)
		}
		out.Certificates = []tls.Certificate{own}
	}
	return out, nil
}

func newProxy(c *config.Pool, known targets, counters *proxy.Counters, errorPage func(http.ResponseWriter, *http.Request, int, string), log *slog.Logger) (*proxy.Proxy, error) {
	pool, err := newPool(c, known)
	if err != nil {
		return nil, err
	}
	secure, err := backendTLS(c)
	if err != nil {
		return nil, err
	}
	return &proxy.Proxy{
		Pool:             pool,
		TLS:              secure,
		ConnectTimeout:   c.Forward.ConnectTimeout,
		FirstByteTimeout: c.Forward.FirstByteTimeout,
		IdleTimeout:      c.Forward.IdleTimeout,
		TotalTimeout:     c.Forward.TotalTimeout,
		HTTP2:            c.Forward.Protocol == "http2",
		Hold:             c.Forward.Hold,
		Retries:          c.Forward.Retries,
		HashOn:           hashOn[c.Forward.HashOn.Kind],
		HashName:         c.Forward.HashOn.Name,
		StickyCookie:     c.Forward.StickyCookie,
		Identity:         identities[c.Forward.Identity],
		Trusted:          c.Forward.Trusted,
		Greeting:         greetings[c.Forward.ProxyProtocol],
		RewriteHost:      !c.Forward.PreserveHost,
		ErrorPage:        errorPage,
		Counters:         counters,
		Log:              log,
	}, nil
}

// The states that people give a backend.
const (
	ready = "ready"
	drain = "drain" // no new requests, but those of clients that stay with it
	maint = "maint" // none at all
)

func stateOf(b *backend.Backend) string {
	switch {
	case b.Maintained():
		return maint
	case b.Draining():
		return drain
	}
	return ready
}

// backendStates is what people want of the live backends.
func (s *server) backendStates() admin.Backends {
	states := admin.Backends{}
	for _, p := range s.live.Load().farm.pools {
		states[p.Name] = map[string]string{}
		for _, b := range p.Pool.Backends() {
			states[p.Name][b.URL.String()] = stateOf(b)
		}
	}
	return states
}

// closeUnused closes the unused connections to a backend, whoever has them.
func (s *server) closeUnused(p *pool, b *backend.Backend) {
	p.CloseUnused(b)
	if s.loops != nil {
		s.loops.CloseUnused(b)
	}
}

// setBackendStates changes it, for all that are named or for none. A name without
// an address means all of its addresses of now. It holds until the program ends, over
// reloads too, or until DNS does not know the address any more.
func (s *server) setBackendStates(wanted admin.Backends) error {
	type place struct {
		*backend.Backend
		pool string
	}
	changes := map[place]string{}
	farm := s.live.Load().farm
	for name, states := range wanted {
		p := farm.pool(name)
		if p == nil {
			return fmt.Errorf("%q is not a pool", name)
		}
		byURL := map[string][]*backend.Backend{}
		for _, b := range p.Pool.Backends() {
			byURL[b.URL.String()] = append(byURL[b.URL.String()], b)
			if name := withoutAddress(b.URL); name != b.URL.String() {
				byURL[name] = append(byURL[name], b)
			}
		}
		for _, url := range slices.Sorted(maps.Keys(states)) { // What is said of one address comes after what is said of all.
			state := states[url]
			if len(byURL[url]) == 0 {
				return fmt.Errorf("%q is not a backend of the pool %s", url, name)
			}
			if state != ready && state != drain && state != maint {
				return fmt.Errorf("%s: %q is none of %q, %q and %q", url, state, ready, drain, maint)
			}
			for _, b := range byURL[url] {
				changes[place{b, name}] = state
			}
		}
	}
	for _, state := range []string{ready, drain, maint} { // In this order: there is always somebody.
		for b, wants := range changes {
			if wants == state && stateOf(b.Backend) != state {
				if state == maint {
					b.Maintain()
				} else {
					b.Drain(state == drain)
				}
				if state != ready {
					s.closeUnused(farm.pool(b.pool), b.Backend)
				}
				s.log.Info("backend state", "pool", b.pool, "backend", b.URL.String(), "state", state)
			}
		}
	}
	return nil
}
