package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"ramjet/accelerator/eventloop"
)

// loopMetrics collects what the event loops count: each row of their table of
// counters is a metric with the number of the loop as its label, each reason for
// a hand-off a label of another. It stops nobody.
type loopMetrics struct {
	server   *server
	counters []*prometheus.Desc
	handoffs *prometheus.Desc
	lag      *prometheus.Desc
}

func newLoopMetrics(s *server) *loopMetrics {
	m := &loopMetrics{
		server:   s,
		handoffs: prometheus.NewDesc("ramjet_handoffs_total", "Connections handed from the event loops to the complete tier, by reason.", []string{"reason"}, nil),
		lag:      prometheus.NewDesc("ramjet_loop_lag_seconds", "How long events waited for their event loop.", nil, nil),
	}
	for _, c := range eventloop.Counters {
		m.counters = append(m.counters, prometheus.NewDesc("ramjet_loop_"+c.Name+"_total", "In each event loop: "+c.Text+".", []string{"loop"}, nil))
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *loopMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range m.counters {
		to <- d
	}
	to <- m.handoffs
	to <- m.lag
}

// Collect implements prometheus.Collector.
func (m *loopMetrics) Collect(to chan<- prometheus.Metric) {
	loops := m.server.loops
	if loops == nil {
		return
	}
	for i, d := range m.counters {
		for loop := range loops.Loops {
			n := loops.CountOf(loop, eventloop.Counter(i))
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), strconv.Itoa(loop))
		}
	}
	for r := eventloop.Reason(1); r < eventloop.NumReasons; r++ {
		to <- prometheus.MustNewConstMetric(m.handoffs, prometheus.CounterValue, float64(loops.Handoffs(r)), r.String())
	}
	atMost, n, sum := loops.Lag()
	to <- prometheus.MustNewConstHistogram(m.lag, n, sum, atMost)
}

// handedOff returns how many requests the event loops handed off for a reason.
func (s *server) handedOff(r eventloop.Reason) uint64 {
	if s.loops == nil {
		return 0
	}
	return s.loops.Handoffs(r)
}

// looped returns a counter of the event loops, 0 if they are disabled.
func (s *server) looped(c eventloop.Counter) uint64 {
	if s.loops == nil {
		return 0
	}
	return s.loops.Count(c)
}
