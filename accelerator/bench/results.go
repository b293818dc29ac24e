package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	_ "embed"

	"golang.org/x/sys/unix"
)

//go:embed results.md.tmpl
var resultsTemplate string

// writeResults writes RESULTS.md and the charts into a directory.
func (l *lab) writeResults(dir string, outcomes []outcome) error {
	charts, err := drawCharts(dir, outcomes)
	if err != nil {
		return err
	}
	text, err := resultsText(l, outcomes, charts)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), text, 0o644)
}

// resultsText is RESULTS.md.
func resultsText(l *lab, outcomes []outcome, charts []chart) ([]byte, error) {
	t, err := template.New("").Funcs(template.FuncMap{"number": number, "cell": cell}).Parse(resultsTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Outcomes": pointers(outcomes), "Charts": charts, "Machine": describeMachine(len(l.cores)), "Versions": l.versions(),
		"Rounds": l.plan.rounds, "Slice": l.plan.slice, "Warm": l.plan.warm, "Disturbed": disturbance(outcomes),
	})
	return b.Bytes(), err
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
func (o *outcome) Ratio(c *column) float64 { return o.ratio(c.name, nginx) }

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
func (l *lab) versions() string {
	var all []string
	for _, name := range []string{nginx, h2o, lighttpd} {
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
