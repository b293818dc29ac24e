package proxy

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"ramjet/accelerator/proxyproto"
)

// Greeting is how a connection to a backend begins.
type Greeting int

// The greetings.
const (
	NoGreeting     Greeting = iota
	ProxyProtocol1          // a header of the PROXY protocol, version 1
	ProxyProtocol2          // version 2
)

// Append appends the greeting for a client.
func (g Greeting) Append(b []byte, h proxyproto.Header) []byte {
	switch g {
	case ProxyProtocol1:
		return proxyproto.Append1(b, h)
	case ProxyProtocol2:
		return proxyproto.Append2(b, h)
	}
	return b
}

// greetingKey is the key of a context's proxyproto.Header.
type greetingKey struct{}

// named is a context by which the connection that a request causes knows for whom
// it is.
func (x *exchange) named(ctx context.Context) context.Context {
	if x.proxy.Greeting == NoGreeting {
		return ctx
	}
	return context.WithValue(ctx, greetingKey{}, x.proxy.between(x.in))
}

// between says who is at the two ends of a request. The port of a client that
// another proxy has told of is not known.
func (p *Proxy) between(r *http.Request) (h proxyproto.Header) {
	if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		h.Source = netip.AddrPortFrom(remote.Addr().Unmap().WithZone(""), remote.Port())
	}
	if client := p.clientOf(r); client.IsValid() && client != h.Source.Addr() {
		h.Source = netip.AddrPortFrom(client, 0)
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		h.Destination = local.AddrPort()
	}
	return h
}
