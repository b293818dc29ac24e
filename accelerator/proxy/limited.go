package proxy

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// ClientOf is the address of whoever asked first, as far as those say it who are
// Trusted; the zero Addr if it has none.
func (p *Proxy) ClientOf(r *http.Request) netip.Addr { return p.clientOf(r) }

// TooMany answers a request of a client that asks more than it may: 429, and when
// to come again.
func (p *Proxy) TooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	p.once.Do(p.init)
	p.Counters.Add(Limited)
	reportRefused(w, Limited)
	h := w.Header()
	h.Set("Retry-After", strconv.FormatInt(max(1, int64((wait+time.Second-1)/time.Second)), 10))
	h.Set("Cache-Control", "no-store") // RFC 6585 §4
	p.ErrorPage(w, r, http.StatusTooManyRequests, "This is more than one client may ask for. Please try again a little later.")
}
