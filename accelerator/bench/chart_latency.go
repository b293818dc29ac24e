package main

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// percentiles are those of the latency chart.
var percentiles = []float64{50, 75, 90, 99, 99.9, 99.99}

// marks tell the servers apart without colour.
var marks = map[string]draw.GlyphDrawer{
	ramjet: draw.CircleGlyph{}, nginx: draw.BoxGlyph{}, h2o: draw.TriangleGlyph{}, lighttpd: draw.CrossGlyph{}, haproxy: draw.TriangleGlyph{},
}

func drawLatency(outcomes []outcome) (*plot.Plot, error) {
	return drawPercentiles(outcomes, tail, ramjet, nginx, h2o, lighttpd)
}

func drawForwardLatency(outcomes []outcome) (*plot.Plot, error) {
	return drawPercentiles(outcomes, added, ramjet, nginx, haproxy)
}

// drawPercentiles draws a line for each of these servers under the same load.
func drawPercentiles(outcomes []outcome, m measure, names ...string) (*plot.Plot, error) {
	var o *outcome
	for i := range outcomes {
		if outcomes[i].measure.what == m.what {
			o = &outcomes[i]
		}
	}
	if o == nil || o.column(ramjet) == nil {
		return nil, nil
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "percent of the requests were answered", "within µs"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(oneTwoFive)
	for _, name := range names {
		c := o.column(name)
		if c == nil {
			continue
		}
		all := c.latencies()
		var points plotter.XYs
		for i, percent := range percentiles {
			points = append(points, plotter.XY{X: float64(i), Y: float64(all.ValueAtPercentile(percent)) / 1000})
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colours[name], vg.Points(1.5)
		dots.Color, dots.Shape, dots.Radius = colours[name], marks[name], vg.Points(4)
		p.Add(line, dots)
		p.Legend.Add(name, line, dots)
	}
	p.Legend.Left = true
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(p.Y.Min))), p.Y.Max*1.5
	var marked []string
	for _, percent := range percentiles {
		marked = append(marked, strconv.FormatFloat(percent, 'f', -1, 64))
	}
	p.NominalX(marked...)
	return p, nil
}

// oneTwoFive are marks that can be read on a logarithmic scale.
func oneTwoFive(least, most float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(least))); decade <= most; decade *= 10 {
		for _, k := range []float64{1, 2, 5} {
			if at := k * decade; at >= least && at <= most {
				ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(at, 'f', -1, 64)})
			}
		}
	}
	return ticks
}
