// Package listening takes a port of the box as soon as it can be had.
package listening

import (
	"context"
	"log/slog"
	"net"
	"time"
)

// pause is the time between two attempts.
const pause = 5 * time.Second

// On listens on a TCP address. While that cannot be had, as before there is a network, it logs the trouble once, and tries
// again until ctx ends, whose error it returns then.
func On(ctx context.Context, address string, log *slog.Logger, trouble string) (net.Listener, error) {
	for said := false; ; said = true {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			return listener, nil
		}
		if !said {
			log.Error(trouble+", trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
