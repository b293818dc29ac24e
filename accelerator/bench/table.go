package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeTable prints the results for a terminal.
func writeTable(out io.Writer, outcomes []outcome) {
	for _, o := range outcomes {
		fmt.Fprintf(out, "\n%s: %s, %s\n", o.title, o.measure.what, o.measure.unit)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "\t%s\tspread\t× %s\trequests/s\tbusy\tp50\tp99\tp99.9\t\n", o.measure.unit, strings.Join(o.rivals(), "\t× "))
		for i := range o.columns {
			c := &o.columns[i]
			if c.err != nil {
				fmt.Fprintf(w, "%s\tfailed%s\n", c.name, strings.Repeat("\t", 7+len(o.rivals())))
				continue
			}
			r := c.summary()
			fmt.Fprintf(w, "%s\t%s\t%s\t", c.name, number(r.Figure), r.Spread())
			for _, rival := range o.rivals() {
				fmt.Fprintf(w, "%s\t", number(o.ratio(c.name, rival)))
			}
			fmt.Fprintf(w, "%.0f\t%.0f%%\t%s\t%s\t%s\t\n", r.Rate, r.Percent, r.P50, r.P99, r.P999)
		}
		w.Flush()
		told := map[error]bool{} // One reason may be everybody's.
		for _, c := range o.columns {
			if c.err != nil && !told[c.err] {
				told[c.err] = true
				fmt.Fprintf(out, "  failed: %v\n", c.err)
			}
		}
	}
}

// writeTargets prints what became of the targets.
func writeTargets(out io.Writer, outcomes []outcome) {
	fmt.Fprintln(out, "\nTargets")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, o := range outcomes {
		for _, v := range o.verdicts() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", o.title, v.condition(o.measure.unit), number(v.measured), v.word())
		}
	}
	w.Flush()
	if text := disturbance(outcomes); text != "" {
		fmt.Fprintf(out, "\n%s\n", text)
	}
}
