package proxy

import (
	"net/http"

	"ramjet/accelerator/backend"
)

// HashOn is what requests that belong together have in common.
type HashOn int

// What the key of a request can be made of.
const (
	HashAddress HashOn = iota // the client's address
	HashPath                  // the path, without the query
	HashHeader                // the field HashName
	HashCookie                // the cookie HashName
)

// choice is what the request wants of the pool.
func (x *exchange) choice() *backend.Choice {
	c := &backend.Choice{Tried: make([]*backend.Backend, 0, 4)}
	if text := x.proxy.hashText(x.in); text != "" {
		c.Key = backend.Key(text)
	}
	if x.proxy.StickyCookie != "" {
		if cookie, err := x.in.Cookie(x.proxy.StickyCookie); err == nil {
			c.Stay = x.proxy.Pool.ByID(cookie.Value)
			x.stayed = c.Stay
		}
	}
	return c
}

// hashText is what the key is made of, "" if the request has none of it.
func (p *Proxy) hashText(r *http.Request) string {
	switch p.HashOn {
	case HashPath:
		return r.URL.Path
	case HashHeader:
		return r.Header.Get(p.HashName)
	case HashCookie:
		if cookie, err := r.Cookie(p.HashName); err == nil {
			return cookie.Value
		}
		return ""
	}
	return p.clientOf(r).String()
}

// remember tells the client by a cookie which backend it was sent to, if that is
// news to it.
func (x *exchange) remember(res *http.Response) {
	name := x.proxy.StickyCookie
	if name == "" || x.stayed == x.backend {
		return
	}
	cookie := http.Cookie{
		Name: name, Value: x.backend.ID(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: x.in.TLS != nil,
	}
	res.Header.Add("Set-Cookie", cookie.String())
	// The answer is for this client alone now (RFC 9111 §5.2.2.7).
	if res.Header.Get("Cache-Control") == "" {
		res.Header.Set("Cache-Control", "private")
	}
}
