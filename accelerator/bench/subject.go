package main

import (
	"context"
	"fmt"
	"os"

	"ramjet/accelerator/bench/load"
	"ramjet/accelerator/bench/peer"
)

// subject is a column of a benchmark: a server in a variant.
type subject struct {
	name     string
	server   string
	log      bool // with a combined access log
	siblings bool // that may send precompressed files
	loops    int  // on so many cores; 0 means 1

	requests []request // instead of the benchmark's
}

// lab is what all benchmarks share.
type lab struct {
	dir, root string // for the servers' files; of the file set
	files     int
	programs  map[string]*peer.Program // by the name of the server
	floor     string                   // its program, or empty
	knows     map[string]bool          // settings that this Ramjet has
	cores     cores
	plan      plan
}

// running is a subject whose server runs.
type running struct {
	subject
	process *peer.Process
	shape   load.Shape
	answer  *load.Answer // to the first request
	answers int64        // that it has given under load
	memory  int64        // that it had before, in bytes
	direct  float64      // p99.9 of the client and the backend without it, in µs
}

// usable says whether there is such a server here.
func (l *lab) usable(s subject) bool {
	if s.server == floor {
		return l.floor != ""
	}
	if l.programs[s.server] == nil {
		return false
	}
	if !l.knows["eventloop"] && (s.server == netHTTP || s.server == ramjet && s.loops > 1) {
		return false // Ramjet is net/http, then.
	}
	if s.server == nginx && len(s.requests) > 0 && s.requests[0].coding == "br" {
		if _, err := os.Stat(peer.Brotli); err != nil {
			return false
		}
	}
	return !s.log || s.server != ramjet || l.knows["access_log"]
}

// start starts the server of a subject, and checks that its answers are right.
// The C floor gives the answer that is passed: the first one of Ramjet's.
func (l *lab) start(ctx context.Context, b benchmark, s subject, backend *load.Backend, answer *load.Answer) (*running, error) {
	requests := b.requests
	if s.requests != nil {
		requests = s.requests
	}
	r := &running{subject: s, shape: load.Shape{
		Order: b.order, Connections: b.connections, Depth: b.depth, Close: b.closes, Rate: b.rate, Backend: backend,
	}}
	var err error
	if s.server == floor {
		err = r.startFloor(ctx, l, requests[0], answer)
	} else {
		err = r.startServer(ctx, l, requests)
	}
	if err == nil {
		err = r.process.Recount()
	}
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return r, nil
}

func (r *running) startServer(ctx context.Context, l *lab, requests []request) (err error) {
	loops := max(r.loops, 1)
	backend := ""
	if r.shape.Backend != nil {
		backend = r.shape.Backend.Address.String()
	}
	r.process, err = l.programs[r.server].Start(ctx, peer.Settings{
		Dir: l.dir, Root: l.root, Loops: loops, Files: l.files, Connections: r.shape.Connections + 1000,
		Precompressed: r.siblings, Log: r.log, NetHTTP: r.server == netHTTP, Knows: l.knows, Backend: backend,
	}, l.cores.servers(loops)...)
	if err != nil {
		return err
	}
	r.shape.Address = r.process.Address
	if backend != "" {
		if err := checkForwarded(r.shape.Address); err != nil {
			return err
		}
	}
	for _, request := range requests {
		if request.socket > 0 {
			return r.prepareSocket(request)
		}
		ready, answer, err := request.check(r.process.Address, l.root)
		if err != nil {
			return err
		}
		if r.answer == nil {
			r.answer = answer
		}
		r.shape.Requests = append(r.shape.Requests, ready)
	}
	return nil
}

func (r *running) startFloor(ctx context.Context, l *lab, request request, answer *load.Answer) (err error) {
	if answer == nil {
		return fmt.Errorf("it has no answer to give, for %s did not run", ramjet)
	}
	asked := request.bytes(answer.Header.Get("ETag"))
	r.process, err = peer.StartFloor(ctx, l.floor, l.dir, answer.Raw, len(asked), request.closes, l.cores.servers(1)...)
	if err != nil {
		return err
	}
	r.shape.Address = r.process.Address
	ready, _, err := load.Probe(r.process.Address, asked)
	r.shape.Requests = []load.Request{ready}
	return err
}

func (r *running) stop() {
	if r.process != nil {
		r.process.Stop()
	}
}
