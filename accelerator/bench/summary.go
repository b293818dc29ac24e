package main

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ramjet/accelerator/bench/load"
)

// summary is a column in a few numbers: medians, and the latencies of all its
// slices together.
type summary struct {
	Figure, Least, Most float64
	Rate                float64 // answers per second
	Percent             float64 // of a core that the server was busy
	P50, P99, P999      time.Duration
}

func (c *column) summary() summary {
	s := summary{
		Figure:  c.median(func(s sample) float64 { return s.figure }),
		Rate:    c.median(func(s sample) float64 { return s.rate }),
		Percent: c.median(func(s sample) float64 { return 100 * s.busy }),
	}
	for i, sample := range c.samples {
		if i == 0 || sample.figure < s.Least {
			s.Least = sample.figure
		}
		s.Most = max(s.Most, sample.figure)
	}
	all := c.latencies()
	at := func(percent float64) time.Duration {
		return time.Duration(all.ValueAtPercentile(percent)).Round(time.Microsecond)
	}
	s.P50, s.P99, s.P999 = at(50), at(99), at(99.9)
	return s
}

// latencies are those of all slices.
func (c *column) latencies() *hdrhistogram.Histogram {
	all := load.NewLatency()
	for _, sample := range c.samples {
		if sample.latency != nil {
			all.Merge(sample.latency)
		}
	}
	return all
}

// Spread is the least and the most of the figures.
func (s summary) Spread() string {
	return fmt.Sprintf("%s-%s", number(s.Least), number(s.Most))
}

// enough is the part of its core that the client must have had.
const enough = 0.9

// disturbance says whether the figures can be trusted, or nothing if they can.
func disturbance(outcomes []outcome) string {
	slices, poor := 0, 0
	for _, o := range outcomes {
		for _, c := range o.columns {
			for _, s := range c.samples {
				if s.client > 0 {
					slices++
				}
				if s.client > 0 && s.client < enough {
					poor++
				}
			}
		}
	}
	if poor*20 <= slices {
		return ""
	}
	return fmt.Sprintf("The machine was not quiet: in %d of %d slices other programs took more than a tenth of the client's core.", poor, slices)
}
