package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Identity is by which fields a backend learns who asks, for which host and how.
type Identity int

// The ways to tell it.
const (
	XForwarded Identity = iota // X-Forwarded-For, -Host and -Proto
	Forwarded                  // Forwarded, RFC 7239
	Both
)

// identify sets these fields. What came with the request was removed already:
// anybody could have written it. Only a trusted client, a proxy in front of us,
// is believed: it knows what we cannot, and we are one more in its line.
func (p *Proxy) identify(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out.Header
	from := remoteOf(in)
	believed := http.Header{}
	if p.trusts(from) {
		believed = in.Header
	}
	if p.Identity != Forwarded {
		if v := believed["X-Forwarded-For"]; len(v) > 0 {
			out["X-Forwarded-For"] = v // SetXForwarded appends.
		}
		pr.SetXForwarded()
		if in.Host == "" {
			delete(out, "X-Forwarded-Host")
		}
		if v := believed.Get("X-Forwarded-Host"); v != "" && httpguts.ValidHostHeader(v) {
			out.Set("X-Forwarded-Host", v)
		}
		if v := believed.Get("X-Forwarded-Proto"); v == "http" || v == "https" {
			out.Set("X-Forwarded-Proto", v)
		}
	}
	if p.Identity != XForwarded {
		out["Forwarded"] = []string{strings.Join(append(believed["Forwarded"], forwarded(in, from)), ", ")}
	}
}

// trusts reports whether an address is one of a proxy that is believed.
func (p *Proxy) trusts(a netip.Addr) bool {
	for _, n := range p.Trusted {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// remoteOf is the client's address without its zone, the zero Addr if it has none.
func remoteOf(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// clientOf is the address of whoever asked first, as far as those say it who are
// trusted: the last one in their line who is not.
func (p *Proxy) clientOf(r *http.Request) netip.Addr {
	at := remoteOf(r)
	fields := r.Header["X-Forwarded-For"]
	for i := len(fields) - 1; i >= 0; i-- {
		for rest := fields[i]; rest != "" && p.trusts(at); {
			var last string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				rest, last = "", rest
			}
			before, err := netip.ParseAddr(strings.TrimSpace(last))
			if err != nil {
				return at
			}
			at = before.Unmap().WithZone("")
		}
	}
	return at
}

// forwarded is our own element of Forwarded, RFC 7239 §4.
func forwarded(r *http.Request, from netip.Addr) string {
	by := "for=unknown"
	switch {
	case from.Is4():
		by = "for=" + from.String()
	case from.Is6():
		by = `for="[` + from.String() + `]"`
	}
	if r.Host != "" && !strings.ContainsAny(r.Host, `"\\`) {
		by += `;host="` + r.Host + `"`
	}
	if r.TLS != nil {
		return by + ";proto=https"
	}
	return by + ";proto=http"
}
