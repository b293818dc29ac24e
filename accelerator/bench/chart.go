package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is an SVG file, and what it shows, for those who do not see it.
type chart struct{ File, Alt string }

// drawing is a chart, and how to draw it; no plot without figures for it.
type drawing struct {
	chart
	draw func([]outcome) (*plot.Plot, error)
}

// Colours that people see apart whatever kinds of light they see (Okabe and
// Ito); nothing is told by colour alone.
var colours = map[string]color.Color{
	ramjet:   color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	nginx:    color.RGBA{0x00, 0x72, 0xb2, 0xff},
	h2o:      color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	lighttpd: color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	haproxy:  color.RGBA{0x00, 0x9e, 0x73, 0xff},
	floor:    color.RGBA{0x99, 0x99, 0x99, 0xff},
}

// drawCharts draws what there is to draw.
func drawCharts(dir string, drawings []drawing, outcomes []outcome) ([]chart, error) {
	var charts []chart
	for _, c := range drawings {
		p, err := c.draw(outcomes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.File, err)
		}
		if p == nil {
			continue
		}
		p.Title.Text = c.Alt
		if err := save(p, filepath.Join(dir, c.File)); err != nil {
			return nil, err
		}
		charts = append(charts, c.chart)
	}
	return charts, nil
}

// save writes a plot as SVG. Its text is text, in a font that the viewer has.
func save(p *plot.Plot, name string) error {
	p.Title.Padding = vg.Points(8)
	p.Legend.Top, p.Legend.Padding = true, vg.Points(3)
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	canvas := vgsvg.New(vg.Points(680), vg.Points(300))
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	svg := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif"))
	return os.WriteFile(name, svg, 0o644)
}

// drawCosts draws the cases that everyone has served.
func drawCosts(outcomes []outcome) (*plot.Plot, error) {
	everyones := slices.DeleteFunc(slices.Clone(outcomes), func(o outcome) bool { return o.column(h2o) == nil })
	return drawRatios(everyones, ramjet, h2o, lighttpd, floor)
}

func drawForwardCosts(outcomes []outcome) (*plot.Plot, error) {
	return drawRatios(outcomes, ramjet, haproxy)
}

// drawRatios draws bars for what a request costs these servers. nginx is a line,
// for it is 1 in all cases.
func drawRatios(outcomes []outcome, names ...string) (*plot.Plot, error) {
	var cases []*outcome
	for i := range outcomes {
		if o := &outcomes[i]; o.measure.what == cost.what && o.column(ramjet) != nil && o.column(nginx) != nil {
			cases = append(cases, o)
		}
	}
	if len(cases) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Y.Min, p.Y.Label.Text = 0, "× nginx"
	p.Y.Tick.Marker = plot.TickerFunc(halves)
	const width = 11
	for k, name := range names {
		var ratios plotter.Values
		for _, o := range cases {
			ratio := o.ratio(name, nginx)
			if math.IsNaN(ratio) {
				ratio = 0 // No bar.
			}
			ratios = append(ratios, ratio)
		}
		bars, err := plotter.NewBarChart(ratios, vg.Points(width))
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width = colours[name], 0
		bars.Offset = vg.Points(width * (float64(k) - float64(len(names)-1)/2))
		p.Add(bars)
		p.Legend.Add(name, bars)
	}
	one := plotter.NewFunction(func(float64) float64 { return 1 })
	one.Color, one.Width, one.Dashes = colours[nginx], vg.Points(1.5), []vg.Length{vg.Points(5), vg.Points(3)}
	p.Add(one)
	p.Legend.Add(nginx, one)
	var titles []string
	for _, o := range cases {
		titles = append(titles, o.short()+"\n"+number(o.ratio(ramjet, nginx)))
	}
	p.NominalX(titles...)
	p.X.Label.Text = "the numbers are " + ramjet + "'s"
	p.X.Min, p.X.Max = -0.5, float64(len(cases))+0.6 // Room for the legend.
	return p, nil
}

// halves are marks at 0.5, 1, and so on.
func halves(least, most float64) []plot.Tick {
	var ticks []plot.Tick
	for at := math.Ceil(least*2) / 2; at <= most; at += 0.5 {
		ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(at, 'f', 1, 64)})
	}
	return ticks
}
