package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	_ "embed"

	"golang.org/x/sys/unix"
)

//go:embed results.md.tmpl
var resultsTemplate string

// part is a part of RESULTS.md: one that has not been measured stays as it is.
type part struct {
	name     string // of its template
	targets  string // heading of the targets
	forwards bool   // it has the benchmarks that do
	peers    []string
	charts   []drawing
}

var (
	filesPart = part{
		name: "files", targets: "Targets", peers: []string{nginx, h2o, lighttpd},
		charts: []drawing{
			{chart{"cost.svg", "CPU time per request, as a multiple of nginx's"}, drawCosts},
			{chart{"latency.svg", "Latency under the same load, by percentile"}, drawLatency},
		},
	}
	forwardingPart = part{
		name: "forwarding", targets: "Targets of forwarding", forwards: true, peers: []string{nginx, haproxy},
		charts: []drawing{
			{chart{"forward-cost.svg", "CPU time per forwarded request, as a multiple of nginx's"}, drawForwardCosts},
			{chart{"forward-latency.svg", "Latency through a proxy under the same load, by percentile"}, drawForwardLatency},
		},
	}
)

// forwardingHeading begins the second part of RESULTS.md.
const forwardingHeading = "# Forwarding\n"

// writeResults writes RESULTS.md and the charts into a directory.
func (l *lab) writeResults(dir string, outcomes []outcome) error {
	name := filepath.Join(dir, "RESULTS.md")
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	files, forwarding, found := strings.Cut("\n"+string(old), "\n"+forwardingHeading)
	files = strings.TrimSpace(files)
	if found {
		forwarding = strings.TrimSpace(forwardingHeading + forwarding)
	}
	for p, text := range map[*part]*string{&filesPart: &files, &forwardingPart: &forwarding} {
		measured := slices.DeleteFunc(slices.Clone(outcomes), func(o outcome) bool { return o.forwards != p.forwards })
		if len(measured) == 0 {
			continue
		}
		charts, err := drawCharts(dir, p.charts, measured)
		if err != nil {
			return err
		}
		if *text, err = l.resultsText(p, measured, charts); err != nil {
			return err
		}
	}
	return os.WriteFile(name, []byte(strings.TrimSpace(files+"\n\n"+forwarding)+"\n"), 0o644)
}

// resultsText is a part of RESULTS.md.
func (l *lab) resultsText(p *part, outcomes []outcome, charts []chart) (string, error) {
	t, err := template.New("").Funcs(template.FuncMap{"number": number, "cell": cell}).Parse(resultsTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.ExecuteTemplate(&b, p.name, map[string]any{
		"Outcomes": pointers(outcomes), "Charts": charts, "Targets": p.targets,
		"Machine": describeMachine(len(l.cores)), "Versions": l.versions(p.peers),
		"Rounds": l.plan.rounds, "Slice": l.plan.slice, "Warm": l.plan.warm, "Disturbed": disturbance(outcomes),
	})
	return strings.TrimSpace(b.String()), err
}

func pointers(outcomes []outcome) []*outcome {
	var all []*outcome
	for i := range outcomes {
		all = append(all, &outcomes[i])
	}
	return all
}

// The names that the template uses.

func (o *outcome) Title() string       { return o.title }
func (o *outcome) Note() string        { return o.note }
func (o *outcome) What() string        { return o.measure.what }
func (o *outcome) Unit() string        { return o.measure.unit }
func (o *outcome) Verdicts() []verdict { return o.verdicts() }
func (o *outcome) Columns() []*column {
	var all []*column
	for i := range o.columns {
		all = append(all, &o.columns[i])
	}
	return all
}
func (o *outcome) Rivals() []string                        { return o.rivals() }
func (o *outcome) Ratio(c *column, against string) float64 { return o.ratio(c.name, against) }

func (v verdict) Condition(unit string) string { return v.condition(unit) }
func (v verdict) Measured() string             { return number(v.measured) }
func (v verdict) Word() string                 { return v.word() }

func (c *column) Name() string     { return c.name }
func (c *column) Err() error       { return c.err }
func (c *column) Summary() summary { return c.summary() }

// cell makes a text fit into a table.
func cell(text any) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(fmt.Sprint(text))
}

// versions lists the peers' versions.
func (l *lab) versions(peers []string) string {
	var all []string
	for _, name := range peers {
		if p := l.programs[name]; p != nil {
			all = append(all, name+" "+p.Version)
		}
	}
	return strings.Join(all, ", ")
}

// describeMachine says what is needed to compare results.
func describeMachine(cores int) string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			if name = strings.TrimSpace(name); name == "model name" || name == "Model" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := "unknown kernel"
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	return fmt.Sprintf("%s, %d cores, %s", model, cores, kernel)
}
