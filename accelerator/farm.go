package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"ramjet/accelerator/admin"
	"ramjet/accelerator/backend"
	"ramjet/accelerator/config"
	"ramjet/accelerator/health"
	"ramjet/accelerator/proxy"
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
	identities = map[string]proxy.Identity{"x_forwarded": proxy.XForwarded, "forwarded": proxy.Forwarded, "both": proxy.Both}
	checks     = map[string]health.Kind{"tcp": health.TCP, "http": health.HTTP, "off": health.Off}
)

// newPool makes the pool of the configured backends.
func newPool(c *config.Config) (*backend.Pool, error) {
	s := backend.Settings{
		Balance:    balances[c.Forward.Balance],
		Limits:     backend.Limits{InFlight: c.Forward.InFlight, Queue: c.Forward.Queue, QueueTime: c.Forward.QueueTime},
		SlowStart:  c.Forward.SlowStart,
		RetryShare: c.Forward.RetryShare,
		Ejection:   backend.Ejection{Failures: c.Ejection.Failures, Time: c.Ejection.Time, Most: c.Ejection.Most},
	}
	for _, b := range c.Backends {
		s.Servers = append(s.Servers, backend.Server{URL: b.URL, Weight: b.Weight})
	}
	return backend.NewPool(s)
}

// healthCheck is what the backends are asked.
func healthCheck(c *config.Config, secure *tls.Config) health.Check {
	h := &c.Health
	check := health.Check{
		TLS:  secure.Clone(),
		Kind: checks[h.Check], Path: h.Path, Host: h.Host, Body: h.Body,
		Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall,
	}
	for _, r := range h.Status {
		check.Status = append(check.Status, health.Range(r))
	}
	return check
}

// backendTLS reads the files of forward.tls. Nil is the default: the system's roots.
func backendTLS(c *config.Config) (*tls.Config, error) {
	t := c.Forward.TLS
	if t == (config.TLS{}) {
		return nil, nil
	}
	out := &tls.Config{ServerName: t.Name}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("forward.tls.ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("forward.tls.ca: %s has no certificate in PEM form", t.CA)
		}
	}
	if t.Certificate != "" {
		own, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("forward.tls.certificate: %s: %w", t.Certificate, err)
		}
		out.Certificates = []tls.Certificate{own}
	}
	return out, nil
}

func newProxy(c *config.Config, counters *proxy.Counters, errorPage func(http.ResponseWriter, *http.Request, int, string), log *slog.Logger) (*proxy.Proxy, error) {
	pool, err := newPool(c)
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
		Hold:             c.Forward.Hold,
		Retries:          c.Forward.Retries,
		HashOn:           hashOn[c.Forward.HashOn.Kind],
		HashName:         c.Forward.HashOn.Name,
		StickyCookie:     c.Forward.StickyCookie,
		Identity:         identities[c.Forward.Identity],
		Trusted:          c.Forward.Trusted,
		RewriteHost:      !c.Forward.PreserveHost,
		ErrorPage:        errorPage,
		Counters:         counters,
		Log:              log,
	}, nil
}

// pool is the live pool, nil without backends.
func (l *live) pool() *backend.Pool {
	if l.proxy == nil {
		return nil
	}
	return l.proxy.Pool
}

// backends are those of the live pool.
func (l *live) backends() []*backend.Backend {
	if p := l.pool(); p != nil {
		return p.Backends()
	}
	return nil
}

// The states that people give a backend.
const (
	ready = "ready"
	drain = "drain"
)

func stateOf(b *backend.Backend) string {
	if b.Draining() {
		return drain
	}
	return ready
}

// backendStates is what people want of the live backends.
func (s *server) backendStates() admin.Backends {
	states := admin.Backends{}
	for _, b := range s.live.Load().backends() {
		states[b.URL.String()] = stateOf(b)
	}
	return states
}

// setBackendStates changes it, for all that are named or for none. It holds until
// the program ends, over reloads too.
func (s *server) setBackendStates(wanted admin.Backends) error {
	byURL := map[string]*backend.Backend{}
	for _, b := range s.live.Load().backends() {
		byURL[b.URL.String()] = b
	}
	for url, state := range wanted {
		if byURL[url] == nil {
			return fmt.Errorf("%q is not a backend", url)
		}
		if state != ready && state != drain {
			return fmt.Errorf("%s: %q is neither %q nor %q", url, state, ready, drain)
		}
	}
	for url, state := range wanted {
		if b := byURL[url]; stateOf(b) != state {
			b.Drain(state == drain)
			s.log.Info("backend state", "backend", url, "state", state)
		}
	}
	return nil
}
