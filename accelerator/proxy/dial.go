package proxy

import (
	"context"
	"net"
	"time"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/proxyproto"
)

// dialer makes connections to a backend.
type dialer struct {
	backend *backend.Backend
	connect time.Duration // 0 is the system's limit
	idle    time.Duration
	buffers *buffers
	answers bool

	greeting Greeting
}

// dial is a http.Transport's DialContext. The address is known better here.
func (d dialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := d.plain(ctx)
	if err != nil {
		return nil, err
	}
	return newBackendConn(c, d.idle, d.buffers, d.answers), nil
}

// plain makes a connection of the net package.
func (d dialer) plain(ctx context.Context) (net.Conn, error) {
	network, address, err := d.backend.Endpoint()
	if err != nil {
		return nil, err
	}
	c, err := (&net.Dialer{Timeout: d.connect}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.greeting != NoGreeting {
		h, _ := ctx.Value(greetingKey{}).(proxyproto.Header)
		if _, err := c.Write(d.greeting.Append(nil, h)); err != nil { // It fits into the buffer of a new socket.
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}
