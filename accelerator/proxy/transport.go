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
	of sync.Map // purpose -> *http.Transport
}

// purpose is what a transport is for.
type purpose struct {
	*backend.Backend
	http2 bool
}

// transport returns that of a backend.
func (p *Proxy) transport(b *backend.Backend, http2 bool) *http.Transport {
	purpose := purpose{b, http2}
	if t, ok := p.transports.of.Load(purpose); ok {
		return t.(*http.Transport)
	}
	t, known := p.transports.of.LoadOrStore(purpose, p.newTransport(purpose))
	if !known {
		p.transports.prune(append(slices.Clone(p.Pool.Backends()), b))
	}
	return t.(*http.Transport)
}

func (p *Proxy) newTransport(of purpose) *http.Transport {
	connect := limit(p.ConnectTimeout, DefaultConnectTimeout)
	d := dialer{
		backend: of.Backend, connect: connect, idle: p.idle, buffers: &p.buffers, greeting: p.Greeting,
		// With TLS it is the reader that writes the farewell: it must not wait for itself.
		answers: !of.http2 && of.Origin.Scheme != "https",
	}
	t := &http.Transport{
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
	if of.http2 {
		p.speakHTTP2(t, of.Origin.Scheme == "https")
	}
	return t
}

// Of the connections of HTTP/2 to a backend.
const (
	streamBuffer = 256 << 10        // of an answer that its client does not take
	pingAfter    = 15 * time.Second // of silence, to see whether the backend is there
)

// speakHTTP2 has a transport speak HTTP/2. The other settings hold for it as well,
// but for those of unused connections: there is one, or as many as the backend's
// limit of requests on one makes necessary.
func (p *Proxy) speakHTTP2(t *http.Transport, secure bool) {
	t.Protocols = new(http.Protocols)
	if secure {
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	} else {
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	t.HTTP2 = &http.HTTP2Config{
		MaxReceiveBufferPerStream: streamBuffer,
		SendPingTimeout:           pingAfter,
		PingTimeout:               limit(p.ConnectTimeout, DefaultConnectTimeout),
	}
}

// prune forgets the backends that are no longer in the pool. What is in flight
// there goes on; a transport that is used once more after that lives until the
// next call.
func (t *transports) prune(stay []*backend.Backend) {
	t.of.Range(func(of, transport any) bool {
		if !slices.Contains(stay, of.(purpose).Backend) {
			t.of.Delete(of)
			transport.(*http.Transport).CloseIdleConnections()
		}
		return true
	})
}

// closeThose closes the unused connections to a backend.
func (t *transports) closeThose(b *backend.Backend) {
	for _, http2 := range []bool{false, true} {
		if t, ok := t.of.Load(purpose{b, http2}); ok {
			t.(*http.Transport).CloseIdleConnections()
		}
	}
}

// close closes the unused connections to all backends.
func (t *transports) close() {
	t.of.Range(func(_, transport any) bool {
		transport.(*http.Transport).CloseIdleConnections()
		return true
	})
}
