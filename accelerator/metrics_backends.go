package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ramjet/accelerator/backend"
)

// backendMetrics collects what is known of each backend of the live pool.
type backendMetrics struct{ server *server }

// backendTable has a metric in each row, with the backend's URL as its label.
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
	{backendDesc("up", "0 if the health checks say that the backend is down, else 1."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 { return number(b.Health() != backend.Down) }},
	{backendDesc("ejected", "1 while the backend is left out because of its failures, else 0."), prometheus.GaugeValue,
		func(b *backend.Backend) float64 {
			_, is := b.Ejected(time.Now())
			return number(is)
		}},
}

func backendDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("ramjet_backend_"+name, help, []string{"backend"}, nil)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (m backendMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, row := range backendTable {
		to <- row.desc
	}
}

// Collect implements prometheus.Collector.
func (m backendMetrics) Collect(to chan<- prometheus.Metric) {
	for _, b := range m.server.live.Load().backends() {
		for _, row := range backendTable {
			to <- prometheus.MustNewConstMetric(row.desc, row.kind, row.value(b), b.URL.String())
		}
	}
}
