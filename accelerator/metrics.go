package main

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/content"
	"ramjet/accelerator/eventloop"
	"ramjet/accelerator/http1"
	"ramjet/accelerator/site"
)

// metrics registers everything that is counted anywhere. Each table of outcomes,
// rules, events and reasons becomes one metric with a label.
func (s *server) metrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counter := func(name, help string, labels prometheus.Labels, value func() float64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ramjet_" + name, Help: help, ConstLabels: labels,
		}, value))
	}
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ramjet_" + name, Help: help}, value))
	}
	for _, o := range site.Outcomes() {
		counter("requests_total", "Requests by what became of them.", prometheus.Labels{"outcome": o.String()},
			func() float64 { return float64(s.outcome(o)) })
	}
	for _, rule := range content.Table {
		counter("not_static_total", "Requests that were not static, by the first rule that failed.", prometheus.Labels{"rule": rule.Label()},
			func() float64 { return float64(s.counters.Failed[rule.Number].Load()) })
	}
	for r := http1.None + 1; r < http1.NumReasons; r++ {
		counter("connections_refused_total", "Connections refused or cut, by reason.", prometheus.Labels{"reason": r.String()},
			func() float64 { return float64(s.listener.Stats.Refused[r].Load()) })
	}
	counter("connections_accepted_total", "Connections accepted.", nil, func() float64 { return float64(s.listener.Stats.Accepted.Load() + s.looped(eventloop.Accepted)) })
	counter("accept_errors_total", "Attempts to accept a connection that failed and were tried again.", nil,
		func() float64 {
			return float64(s.listener.Stats.AcceptErrors.Load() + s.looped(eventloop.AcceptErrors))
		})
	counter("connections_http2_total", "Connections of clients that began with HTTP/2.", nil, func() float64 { return float64(s.listener.Stats.HTTP2.Load()) })
	counter("connections_crowded_total", "Connections closed at once because of limits.connections_per_address.", nil,
		func() float64 { return float64(s.listener.Stats.Crowded.Load() + s.looped(eventloop.Crowded)) })
	gauge("connections", "Connections open now.", func() float64 { return float64(s.listener.Limiter.Open()) })
	for result, count := range map[string]*atomic.Uint64{"good": &s.names.Answered, "bad": &s.names.Failed} {
		counter("name_lookups_total", "Questions for the addresses behind the names of backends, by result.", prometheus.Labels{"result": result},
			func() float64 { return float64(count.Load()) })
	}
	counter("clients_evicted_total", "Clients whose count for per_client was given up before its time, for want of room.", nil,
		func() float64 { return float64(s.pools.evicted()) })
	registry.MustRegister(farmMetrics{s})
	s.contentMetrics(gauge)
	registry.MustRegister(newLoopMetrics(s))
	s.logMetrics(func(name, help string, value func(accesslog.Stats) uint64) {
		counter(name, help, nil, func() float64 { return float64(value(s.accessLog.Stats())) })
	})
	return registry
}

// outcome returns how many requests came to it, in both tiers.
func (s *server) outcome(o site.Outcome) uint64 {
	n := s.counters.Outcomes[o].Load()
	switch o {
	case site.Static:
		n += s.looped(eventloop.Requests)
	case site.Forwarded:
		n += s.looped(eventloop.RelaysBegun) - s.handedOff(eventloop.Failed)
	}
	return n
}

func (s *server) contentMetrics(gauge func(name, help string, value func() float64)) {
	of := func(value func(*content.Snapshot) float64) func() float64 {
		return func() float64 { return value(s.store.Snapshot()) }
	}
	gauge("content_files", "Files in the live snapshot.",
		of(func(c *content.Snapshot) float64 { return float64(c.Files) }))
	gauge("content_memory_bytes", "Bytes of bodies held in memory.",
		of(func(c *content.Snapshot) float64 { return float64(c.MemoryBytes) }))
	gauge("content_open_files", "Files kept open.",
		of(func(c *content.Snapshot) float64 { return float64(c.OpenFiles) }))
	gauge("content_loaded_timestamp_seconds", "When the live snapshot was read.",
		of(func(c *content.Snapshot) float64 { return float64(c.Loaded.UnixNano()) / 1e9 }))
	gauge("content_load_seconds", "How long reading it took.",
		of(func(c *content.Snapshot) float64 { return c.Took.Seconds() }))
}
