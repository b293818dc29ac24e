// Package unixhttp leads HTTP to a Unix socket: to gokrazy's own interface, and to the accelerator's.
package unixhttp

import (
	"context"
	"net"
	"net/http"
)

// Transport leads all requests to the socket of that path, whatever host they name. Each has a connection of its own,
// because the next one may be for another process.
func Transport(path string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}
}
