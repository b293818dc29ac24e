package proxy

import (
	"net/http"
	"time"

	"ramjet/accelerator/backend"
)

// What the pool is told of a backend.

// judge tells the pool how the backend did, if it had its chance.
func (x *exchange) judge() {
	switch {
	case x.outcome == OK && x.strike:
		x.ejecting(x.backend)
	case x.outcome == OK:
		x.backend.Served()
	}
}

// overloaded tells the answers that count as failures: they speak of the server,
// not of the request, as 501 and 505 do.
func overloaded(status int) bool {
	return status == http.StatusInternalServerError || 502 <= status && status <= 504
}

// failed counts a failure of a backend.
func (x *exchange) failed(b *backend.Backend) {
	b.Failures.Add(1)
	x.ejecting(b)
}

func (x *exchange) ejecting(b *backend.Backend) {
	if x.proxy.Pool.Failed(b) {
		until, _ := b.Ejected(time.Now())
		x.proxy.Log.Warn("backend failed too often, left out for a while", "backend", b.URL.String(), "until", until.UTC().Format(time.RFC3339))
	}
}
