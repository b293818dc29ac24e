// Package health says whether the box is well: a tree of checks with weights, each of which can be read in the table of
// Checks. It looks from outside, as a client would, wherever it can.
//
// Some checks compare with what was before: a gateway that was never there is not missed. What was is kept durably while
// all is well (Baseline), so that the first start of another version is compared with the last hours of the one before.
package health

import (
	"fmt"
	"io"
	"time"
)

// State is what became of a check.
type State string

const (
	OK      State = "ok"
	Failed  State = "failed"
	Unknown State = "unknown" // it cannot be made; the detail says why
)

// Check is the outcome of one check.
type Check struct {
	Name   string    `json:"name"` // group/check
	Weight int       `json:"weight"`
	State  State     `json:"state"`
	Detail string    `json:"detail"`
	Since  time.Time `json:"since"` // when it came to this state, as far as the tree knows
}

// Report is one look at all of them.
type Report struct {
	Healthy bool      `json:"healthy"`
	Score   int       `json:"score"` // 100 less the weights of what failed
	Time    time.Time `json:"time"`
	Checks  []Check   `json:"checks"`
}

// Tolerance is how much of the weight may be lost: a box that loses this much is not healthy.
const Tolerance = 10

// judge fills in the verdict.
func (r *Report) judge() {
	r.Score = 100
	for _, c := range r.Checks {
		if c.State == Failed {
			r.Score -= c.Weight
		}
	}
	r.Healthy = r.Score > 100-Tolerance
}

// Failed are those that failed, in one line for a log.
func (r *Report) Failed() string {
	text := ""
	for _, c := range r.Checks {
		if c.State == Failed {
			if text != "" {
				text += "; "
			}
			text += c.Name + ": " + c.Detail
		}
	}
	return text
}

// Write is the report for people.
func (r *Report) Write(w io.Writer) error {
	verdict := "healthy"
	if !r.Healthy {
		verdict = "NOT healthy"
	}
	if _, err := fmt.Fprintf(w, "%s, %d of 100, at %s\n", verdict, r.Score, r.Time.UTC().Format(time.DateTime)); err != nil {
		return err
	}
	for _, c := range r.Checks {
		if _, err := fmt.Fprintf(w, "  %-7s  %3d  %-22s  %s\n", c.State, c.Weight, c.Name, c.Detail); err != nil {
			return err
		}
	}
	return nil
}
