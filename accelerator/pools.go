package main

import (
	"context"
	"log/slog"
	"sync"

	"ramjet/accelerator/health"
	"ramjet/accelerator/proxy"
	"ramjet/accelerator/ratelimit"
)

// poolRecord is what is kept of a pool over reloads: what was counted of it, and
// who asks its backends how they are.
type poolRecord struct {
	counters proxy.Counters
	checker  health.Checker
	end      context.CancelFunc // of the checker; nil while the task does not run
}

// maxRecords is how many are kept of pools that there were: those of some farms, for
// they may come back, but not of all names that anybody ever gave one.
const maxRecords = 256

// poolRecords has them by the pools' names, and with them what the clients have
// asked. It is the task that has the checks run.
type poolRecords struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	byName  map[string]*poolRecord
	clients *ratelimit.Table  // of all routes with a limit; nil until there is one
	begin   func(*poolRecord) // nil while the task does not run
	ongoing sync.WaitGroup
}

// of returns the record of a pool; a name that is new gets one.
func (r *poolRecords) of(name string) *poolRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.byName[name]; p != nil {
		return p
	}
	p := &poolRecord{}
	p.checker.Log = poolLog(r.log, name)
	if r.byName == nil {
		r.byName = map[string]*poolRecord{}
	}
	r.byName[name] = p
	if r.begin != nil {
		r.begin(p)
	}
	return p
}

// limits returns the table of the clients, which is made when it is first needed.
func (r *poolRecords) limits() *ratelimit.Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		r.clients = ratelimit.NewTable()
	}
	return r.clients
}

// evicted is how many clients the table had no room for.
func (r *poolRecords) evicted() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		return 0
	}
	return r.clients.Evicted.Load()
}

// watch has the backends of a farm asked, and no others.
func (r *poolRecords) watch(f *farm) {
	for _, p := range f.pools {
		r.of(p.Name).checker.Watch(p.Pool.Backends(), p.check)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range r.byName {
		if f.pool(name) == nil {
			p.checker.Watch(nil, health.Check{Kind: health.Off})
			if len(r.byName) > maxRecords {
				delete(r.byName, name) // Requests still in flight go on counting in it.
				if p.end != nil {
					p.end()
				}
			}
		}
	}
}

// String names the task.
func (r *poolRecords) String() string { return "health checks" }

// Run has the checks run until ctx ends.
func (r *poolRecords) Run(ctx context.Context) error {
	r.mu.Lock()
	r.begin = func(p *poolRecord) {
		running, end := context.WithCancel(ctx)
		p.end = end
		r.ongoing.Go(func() { _ = p.checker.Run(running) }) // It returns nil, when running ends.
	}
	for _, p := range r.byName {
		r.begin(p)
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.begin = nil
	r.mu.Unlock()
	r.ongoing.Wait()
	return nil
}
