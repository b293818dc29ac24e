package proxy

import (
	"context"
	"sync/atomic"

	"ramjet/accelerator/backend"
)

// attempted is the key of a request's first attempt in the context of its
// connection. It is for one request, and others may come on the connection.
type attempted struct{}

// WithAttempt returns a context for a connection whose first request a backend has
// failed already: a Proxy goes on from there.
func WithAttempt(ctx context.Context, a *backend.Attempt) context.Context {
	p := new(atomic.Pointer[backend.Attempt])
	p.Store(a)
	return context.WithValue(ctx, attempted{}, p)
}

// takeAttempt returns it, once.
func takeAttempt(ctx context.Context) *backend.Attempt {
	p, ok := ctx.Value(attempted{}).(*atomic.Pointer[backend.Attempt])
	if !ok {
		return nil
	}
	return p.Swap(nil)
}

// adopt makes an attempt of somebody else one of x, and returns what it ended in.
func (x *exchange) adopt(a *backend.Attempt) error {
	x.backend, x.taken, x.connections = a.Backend, true, 0
	x.course.adopt(a)
	x.backend.InFlight.Add(1) // Until it is released, as one that was taken.
	if a.Lost {
		x.body.lose()
	}
	if x.connected = a.Connected; a.Connected {
		x.connections = 1
	}
	return a.Err
}
