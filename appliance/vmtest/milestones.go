package vmtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Milestone is a moment of a boot.
type Milestone struct {
	Name string
	// After is the time since power-on, or negative when it was not seen.
	After time.Duration
}

// The lines on the serial console that mark a boot. The kernel is told to be
// quiet; a warning of its own, with its clock, tells when that clock started.
var (
	kernelLine = regexp.MustCompile(`^\[ *(\d+\.\d+)\] `)
	initLine   = regexp.MustCompile(`^gokrazy build timestamp`)
	timeField  = regexp.MustCompile(`\btime=(\S+)`)
)

// Milestones returns when the steps of the boot that led to the first answer
// were reached. Call it on a box that is up.
func (b *Box) Milestones(firstAnswer time.Time) []Milestone {
	b.t.Helper()
	since := func(at time.Time, seen bool) time.Duration {
		if !seen {
			return -1
		}
		return at.Sub(b.Machine.Started)
	}
	kernel := time.Duration(-1)
	if line, match, ok := b.Machine.Serial.Find(kernelLine, 0); ok {
		if clock, err := strconv.ParseFloat(match[1], 64); err == nil {
			kernel = since(line.At, true) - time.Duration(clock*float64(time.Second))
		}
	}
	init, _, initSeen := b.Machine.Serial.Find(initLine, 0)
	ahead := b.ClockOffset()
	logged := func(program string, words ...string) time.Duration {
		line := b.WaitLog(program, 30*time.Second, words...)
		if match := timeField.FindStringSubmatch(line); match != nil {
			if at, err := time.Parse(time.RFC3339Nano, match[1]); err == nil {
				return since(at.Add(-ahead), true)
			}
		}
		return -1
	}
	return []Milestone{
		{"kernel", kernel},
		{"init", since(init.At, initSeen)},
		{"network", logged("appliance", "the box answers at", "10.0.2.15")},
		{"listening", logged("accelerator", "msg=ready")},
		{"first answer", since(firstAnswer, true)},
	}
}

// Describe formats milestones on one line.
func Describe(milestones []Milestone) string {
	var parts []string
	for _, m := range milestones {
		text := m.Name + " not seen"
		if m.After >= 0 {
			text = fmt.Sprintf("%s %.2f s", m.Name, m.After.Seconds())
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
