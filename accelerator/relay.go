package main

import (
	"context"
	"net"

	"ramjet/accelerator/config"
	"ramjet/accelerator/eventloop"
	"ramjet/accelerator/http1"
	"ramjet/accelerator/proxy"
	"ramjet/accelerator/route"
)

// relay is what the event loops may do of a pool's work by themselves, nil if a
// setting is only seen to by the complete tier.
func (p *pool) relay(c *config.Config, f *config.Forward) *eventloop.Farm {
	if p.HTTP2 || p.TotalTimeout > 0 || p.Greeting != proxy.NoGreeting {
		return nil
	}
	for _, b := range p.Pool.Backends() {
		if b.Origin.Scheme != "http" {
			return nil
		}
	}
	return &eventloop.Farm{
		Pool: p.Pool, Dial: p.Dial, Note: relayEvents(p.Counters),
		Connect: f.ConnectTimeout, FirstByte: f.FirstByteTimeout, Idle: f.IdleTimeout, KeepAlive: proxy.DefaultKeepAlive,
		HeadBytes: proxy.DefaultMaxResponseHeader, BodyBytes: c.Limits.BodyBytes,
		XForwarded: p.Identity != proxy.Forwarded, Forwarded: p.Identity != proxy.XForwarded,
		Trusted: p.Trusted, RewriteHost: p.RewriteHost,
		HashOn: relayHash(p, f), HashName: p.HashName, Sticky: p.StickyCookie,
	}
}

// relayHash is what the keys of a pool are made of.
func relayHash(p *pool, f *config.Forward) eventloop.HashOn {
	if f.Balance != "hash" {
		return eventloop.HashNothing
	}
	return map[proxy.HashOn]eventloop.HashOn{
		proxy.HashAddress: eventloop.HashAddress, proxy.HashPath: eventloop.HashPath,
		proxy.HashHeader: eventloop.HashHeader, proxy.HashCookie: eventloop.HashCookie,
	}[p.HashOn]
}

// relayEnds are the outcomes of what the loops have relayed to the end.
var relayEnds = map[eventloop.Event]proxy.Event{
	eventloop.Relayed: proxy.OK, eventloop.ClientAborted: proxy.ClientAborted, eventloop.ClientStalled: proxy.ClientStalled,
	eventloop.BackendAborted: proxy.BackendAborted, eventloop.BackendStalled: proxy.BackendStalled,
}

// relayEvents counts what happens in the loops where the proxy counts.
func relayEvents(c *proxy.Counters) func(eventloop.Event) {
	return func(e eventloop.Event) {
		switch e {
		case eventloop.Began:
			c.Begin()
		case eventloop.GivenUp: // It begins anew in the complete tier.
			c.Leave()
		case eventloop.Retried:
			c.Add(proxy.Retried)
		case eventloop.TunnelBegan:
			c.Tunnel(1)
		case eventloop.TunnelEnded:
			c.Tunnel(-1)
		default:
			c.Add(relayEnds[e])
			c.Leave()
		}
	}
}

// route is the way of the event loops to the farm, nil if there is none.
func (l *live) route() eventloop.Route {
	if len(l.farm.pools) == 0 {
		return nil
	}
	relays := map[*pool]*eventloop.Farm{}
	for _, settings := range l.config.AllPools() {
		p := l.farm.pool(settings.Name)
		relays[p] = p.relay(l.config, &settings.Forward)
	}
	farms := make([]*eventloop.Farm, len(l.farm.routes)) // nil for those that change or count something
	for i := range l.farm.routes {
		if r := &l.farm.routes[i]; r.limit == nil && r.Changes.Nothing() {
			farms[i] = relays[r.pool]
		}
	}
	table, fallback := l.farm.table, relays[l.farm.fallback]
	return func(method, host, target string) *eventloop.Farm {
		if len(farms) == 0 {
			return fallback
		}
		if i := table.Match(method, host, route.Path(target)); i >= 0 {
			return farms[i]
		}
		return fallback
	}
}

// attempted tells the proxy of requests that a loop has tried to relay.
func attempted(ctx context.Context, c net.Conn) context.Context {
	if from, ok := http1.Origin(c).(*eventloop.Conn); ok && from.Failed() != nil {
		return proxy.WithAttempt(ctx, from.Failed())
	}
	return ctx
}
