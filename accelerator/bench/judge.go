package main

import (
	"fmt"
	"math"
	"slices"
)

// verdict is what became of a target.
type verdict struct {
	target
	measured float64 // NaN if it could not be measured
}

func (v verdict) met() bool { return v.measured <= v.atMost }

// word is the verdict for people.
func (v verdict) word() string {
	switch {
	case math.IsNaN(v.measured):
		return "not measured"
	case v.met():
		return "met"
	}
	return "missed"
}

// condition is the target for people.
func (v verdict) condition(unit string) string {
	if v.against == "" {
		return fmt.Sprintf("%s ≤ %s %s", v.subject, number(v.atMost), unit)
	}
	return fmt.Sprintf("%s ≤ %.2f × %s", v.subject, v.atMost, v.against)
}

// rivals are the servers that all others are compared with in the tables.
func (b *benchmark) rivals() []string {
	if b.forwards {
		return []string{nginx, haproxy}
	}
	return []string{nginx}
}

// verdicts judges a benchmark.
func (o *outcome) verdicts() []verdict {
	var all []verdict
	for _, t := range o.targets {
		v := verdict{target: t, measured: math.NaN()}
		if t.against == "" {
			v.measured = o.figure(t.subject)
		} else {
			v.measured = o.ratio(t.subject, t.against)
		}
		all = append(all, v)
	}
	return all
}

// column finds a subject that was measured.
func (o *outcome) column(name string) *column {
	for i, c := range o.columns {
		if c.name == name && c.err == nil && len(c.samples) > 0 {
			return &o.columns[i]
		}
	}
	return nil
}

// figure is the median of a subject's figures, or the worst one; NaN without
// any.
func (o *outcome) figure(name string) float64 {
	c := o.column(name)
	if c == nil {
		return math.NaN()
	}
	if o.measure.worst {
		return c.summary().Most
	}
	return c.summary().Figure
}

// ratio is the median of the ratios in each round: what disturbs the machine for
// a while disturbs both.
func (o *outcome) ratio(name, against string) float64 {
	a, b := o.column(name), o.column(against)
	if a == nil || b == nil {
		return math.NaN()
	}
	var ratios []float64
	for i := range min(len(a.samples), len(b.samples)) {
		ratios = append(ratios, a.samples[i].figure/b.samples[i].figure)
	}
	return median(ratios)
}

func (c *column) median(of func(sample) float64) float64 {
	var all []float64
	for _, s := range c.samples {
		all = append(all, of(s))
	}
	return median(all)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// number prints three digits that count.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return "-"
	case math.Abs(x) >= 100:
		return fmt.Sprintf("%.0f", x)
	case math.Abs(x) >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
