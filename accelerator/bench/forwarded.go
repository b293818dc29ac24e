package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"ramjet/accelerator/bench/load"
	"ramjet/accelerator/bench/peer"
)

// checkForwarded looks at what a proxy sends to the backend: all do the same
// work, and keep their connections.
func checkForwarded(at netip.AddrPort) error {
	const path = "/cgi-bin/seen"
	_, answer, err := load.Probe(at, request{path: path}.bytes(""))
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("%s: status %d, want 200: %.200q", path, answer.Status, answer.Body)
	}
	seen, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(answer.Body, "\r\n\r\n"...))))
	if err != nil {
		return fmt.Errorf("it has sent %q: %w", answer.Body, err)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": at.Addr().String(), "X-Forwarded-Host": host, "X-Forwarded-Proto": "http",
		"User-Agent": "ramjet-bench/1.0", "Connection": "",
	} {
		if got := seen.Header.Get(name); got != want {
			return fmt.Errorf("the backend gets %s: %q, want %q", name, got, want)
		}
	}
	if seen.Host != host {
		return fmt.Errorf("the backend gets Host: %q, want %q", seen.Host, host)
	}
	return nil
}

// made is how many connections to the backend there have been so far.
func (r *running) made() int64 {
	if r.shape.Backend == nil {
		return 0
	}
	return r.shape.Backend.Accepted()
}

// checkKept wants a proxy to keep its connections to the backend. It may need a
// few more when its clients are many at a time.
func checkKept(made, answers int64) error {
	if made > 100+answers/10 {
		return fmt.Errorf("it does not keep its connections to the backend: %d new ones for %d requests", made, answers)
	}
	return nil
}

// prepareSocket makes the load one of messages through WebSockets, if the server
// lets them through.
func (r *running) prepareSocket(q request) error {
	handshake, accept := load.Handshake(host, q.path)
	hello, answer, err := load.Probe(r.shape.Address, handshake)
	if err != nil {
		return err
	}
	if got := answer.Header.Get("Sec-WebSocket-Accept"); answer.Status != http.StatusSwitchingProtocols || got != accept {
		return fmt.Errorf("%s: status %d with Sec-WebSocket-Accept %q, want 101 with %q: %.200q", q.path, answer.Status, got, accept, answer.Body)
	}
	r.answer, r.shape.Hello = answer, hello
	r.shape.Requests = []load.Request{load.Message(load.Content(q.socket), [4]byte{0x37, 0xfa, 0x21, 0x3d})}
	return nil
}

// added is by how much a proxy makes the latency longer that one request in a
// thousand exceeds.
var added = measure{what: "added p99.9 at the same rate", unit: "µs", prepare: prepareAdded, take: takeAdded}

// prepareAdded agrees on half load, and measures the client and the backend
// alone.
func prepareAdded(ctx context.Context, l *lab, servers []*running) error {
	const half = 0.5
	if err := agreeOnRate(ctx, l, servers, half); err != nil || len(servers) == 0 {
		return err
	}
	if err := peer.Move(l.cores.client(1)...); err != nil {
		return err
	}
	shape := servers[0].shape
	shape.Address = shape.Backend.Address
	ready, _, err := load.Probe(shape.Address, shape.Requests[0].Bytes)
	if err != nil {
		return err
	}
	shape.Requests = []load.Request{ready}
	g, err := load.Open(shape)
	if err != nil {
		return err
	}
	defer g.Close()
	if _, err := g.Run(ctx, l.plan.warm, nil); err != nil {
		return err
	}
	var all []float64
	for range l.plan.rounds {
		latency := load.NewLatency()
		if _, err := g.Run(ctx, l.plan.slice, latency); err != nil {
			return err
		}
		all = append(all, float64(latency.ValueAtPercentile(99.9))/float64(time.Microsecond))
	}
	for _, r := range servers {
		r.direct = median(all)
	}
	return nil
}

func takeAdded(ctx context.Context, l *lab, r *running) (sample, error) {
	s, err := takeTail(ctx, l, r)
	s.figure = max(s.figure-r.direct, 1) // Less than nothing is noise.
	return s, err
}
