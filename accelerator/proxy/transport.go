package proxy

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"ramjet/accelerator/backend"
)

// transports are the connections to the backends. Each backend has a transport of
// its own: several may share a name, and a connection must not be used for
// another one of them.
type transports struct {
	of sync.Map // *backend.Backend -> *http.Transport
}

// transport returns that of a backend.
func (p *Proxy) transport(b *backend.Backend) *http.Transport {
	if t, ok := p.transports.of.Load(b); ok {
		return t.(*http.Transport)
	}
	t, known := p.transports.of.LoadOrStore(b, p.newTransport(b))
	if !known {
		p.transports.prune(append(slices.Clone(p.Pool.Backends()), b))
	}
	return t.(*http.Transport)
}

func (p *Proxy) newTransport(b *backend.Backend) *http.Transport {
	connect := limit(p.ConnectTimeout, DefaultConnectTimeout)
	d := dialer{backend: b, connect: connect, idle: p.idle, buffers: &p.buffers, greeting: p.Greeting}
	return &http.Transport{
		DialContext:            d.dial,
		TLSClientConfig:        p.TLS.Clone(),
		TLSHandshakeTimeout:    connect,
		DisableKeepAlives:      p.Greeting != NoGreeting, // A connection is for one client.
		DisableCompression:     true,                     // or it asks for gzip by itself, and unpacks it
		MaxIdleConnsPerHost:    1024,                     // the default of 2 would close all but two after every burst
		IdleConnTimeout:        limit(p.KeepAlive, DefaultKeepAlive),
		ResponseHeaderTimeout:  limit(p.FirstByteTimeout, DefaultFirstByteTimeout),
		ExpectContinueTimeout:  time.Second, // then the body is sent unasked, RFC 9110 §10.1.1
		MaxResponseHeaderBytes: p.MaxResponseHeader,
	}
}

// prune forgets the backends that are no longer in the pool. What is in flight
// there goes on; a transport that is used once more after that lives until the
// next call.
func (t *transports) prune(stay []*backend.Backend) {
	t.of.Range(func(b, transport any) bool {
		if !slices.Contains(stay, b.(*backend.Backend)) {
			t.of.Delete(b)
			transport.(*http.Transport).CloseIdleConnections()
		}
		return true
	})
}

// close closes the unused connections to all backends.
func (t *transports) close() {
	t.of.Range(func(_, transport any) bool {
		transport.(*http.Transport).CloseIdleConnections()
		return true
	})
}
