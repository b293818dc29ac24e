package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/proxy"
)

// farmMetrics collects what is known of each live pool and its backends.
type farmMetrics struct{ server *server }

var (
	forwardEvents = poolDesc("forward_events_total", "What happened to forwarded requests.", "event")
	backendChecks = poolDesc("backend_checks_total", "Health checks of backends, by result.", "result")
	backendWeight = backendDesc("weight", "The backend's share of the requests against the others'.")
)

// poolTable has a metric in each row, with the pool's name as its label.
var poolTable = []struct {
	desc  *prometheus.Desc
	value func(*pool) int64
}{
	{poolDesc("forward_in_flight", "Requests being forwarded now, tunnels included."), func(p *pool) int64 { return p.Counters.InFlight() }},
	{poolDesc("forward_queue", "Requests that wait for a backend with room."), func(p *pool) int64 { return p.Pool.Waiting() }},
	{poolDesc("forward_tunnels", "Upgraded connections open now."), func(p *pool) int64 { return p.Counters.Tunnels() }},
}

func poolDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ramjet_"+name, help, append([]string{"pool"}, labels...), nil)
}

// backendTable has a metric in each row, with the pool's name and the backend's URL
// as its labels.
var backendTable = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*backend.Backend) float64
}{
	{backendDesc("requests_total", "Requests sent to the backend, failed attempts included."), prometheus.CounterValue,
		func(b *backend.Backend) float64 { return float64(b.Requests.Load()) }},
	{backendDesc("failures_total", "Requests that the backend failed: no connection, no answer, a bad or a broken one."), prometheus.CounterValue,
		func(b *backend.Backend) float64 { return float64(b.Failures.Load()) }},
	{backendDesc("ejections_total", "Times that the backend was left out because of its failures."), prometheus.CounterValue,
		func(b *backend.Backend) float64 { return float64(b.Ejections.Load()) }},
	{backendDesc("in_flight", "Requests at the backend now, tunnels included."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 { return float64(b.InFlight.Load()) }},
	{backendDesc("up", "0 if the health checks or its agent say that the backend is down, else 1."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 { return number(!b.Down()) }},
	{backendDesc("agent_ratio", "Share of its weight that its agent lets the backend have, 0 to 1, 1 without one."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 { return float64(100-b.Report().Less) / 100 }},
	{backendDesc("drained", "1 if people keep new requests from the backend, else 0."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 { return number(b.Draining()) }},
	{backendDesc("ejected", "1 while the backend is left out because of its failures, else 0."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 {
			_, is := b.Ejected(time.Now())
			return number(is)
		}},
}

func backendDesc(name, help string) *prometheus.Desc {
	return poolDesc("backend_"+name, help, "backend")
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (m farmMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- forwardEvents
	to <- backendChecks
	to <- backendWeight
	for _, row := range poolTable {
		to <- row.desc
	}
	for _, row := range backendTable {
		to <- row.desc
	}
}

// Collect implements prometheus.Collector.
func (m farmMetrics) Collect(to chan<- prometheus.Metric) {
	for _, p := range m.server.live.Load().farm.pools {
		for e := range proxy.NumEvents {
			to <- prometheus.MustNewConstMetric(forwardEvents, prometheus.CounterValue, float64(p.Counters.Count(e)), p.Name, e.String())
		}
		checks := &m.server.pools.of(p.Name).checker
		to <- prometheus.MustNewConstMetric(backendChecks, prometheus.CounterValue, float64(checks.Passed.Load()), p.Name, "good")
		to <- prometheus.MustNewConstMetric(backendChecks, prometheus.CounterValue, float64(checks.Failed.Load()), p.Name, "bad")
		for _, row := range poolTable {
			to <- prometheus.MustNewConstMetric(row.desc, prometheus.GaugeValue, float64(row.value(p)), p.Name)
		}
		for _, b := range p.Pool.Backends() {
			to <- prometheus.MustNewConstMetric(backendWeight, prometheus.GaugeValue, float64(p.Pool.Weight(b)), p.Name, b.URL.String())
			for _, row := range backendTable {
				to <- prometheus.MustNewConstMetric(row.desc, row.kind, row.value(b), p.Name, b.URL.String())
			}
		}
	}
}
