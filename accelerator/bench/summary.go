package main

import (
	"fmt"
	"time"

	"ramjet/accelerator/bench/load"
)

// summary is a column in a few numbers: medians, and the latencies of all its
// slices together.
type summary struct {
	figure, least, most float64
	rate, busy          float64
	p50, p99, p999      time.Duration
}

func (c *column) summary() summary {
	s := summary{
		figure: c.median(func(s sample) float64 { return s.figure }),
		rate:   c.median(func(s sample) float64 { return s.rate }),
		busy:   c.median(func(s sample) float64 { return s.busy }),
	}
	all := load.NewLatency()
	for i, sample := range c.samples {
		if i == 0 || sample.figure < s.least {
			s.least = sample.figure
		}
		s.most = max(s.most, sample.figure)
		if sample.latency != nil {
			all.Merge(sample.latency)
		}
	}
	at := func(percent float64) time.Duration {
		return time.Duration(all.ValueAtPercentile(percent)).Round(time.Microsecond)
	}
	s.p50, s.p99, s.p999 = at(50), at(99), at(99.9)
	return s
}

// spread is the least and the most of the figures.
func (s summary) spread() string {
	return fmt.Sprintf("%s-%s", number(s.least), number(s.most))
}
