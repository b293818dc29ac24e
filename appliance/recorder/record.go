package recorder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Record is one thing that was recorded: one of the pointers, or End, is set.
type Record struct {
	Time   int64   `json:"t"` // Unix time in ms, by a clock that may not have been set
	Up     int64   `json:"u"` // ms since the start of the machine
	Sample *Sample `json:"s,omitempty"`
	Event  *Event  `json:"e,omitempty"`
	Line   *Line   `json:"l,omitempty"`
	End    string  `json:"x,omitempty"` // why what follows is no accident
}

// Sample is what was measured in a second.
type Sample struct {
	CPU  float64 `json:"cpu"`            // percent of all processors
	Free int64   `json:"free"`           // memory that can be had, MiB
	Load float64 `json:"load"`           // the load average of a minute
	In   int64   `json:"in"`             // bytes received, on all interfaces
	Out  int64   `json:"out"`            // bytes sent
	Temp float64 `json:"temp,omitempty"` // of the machine, °C

	// Of the accelerator. Trouble says why there is nothing.
	Trouble string  `json:"bad,omitempty"`
	Memory  int64   `json:"mem,omitempty"` // MiB
	Busy    float64 `json:"acc,omitempty"` // percent of one processor
	Lag     int64   `json:"lag,omitempty"` // how long events waited for their loop, µs, on average
	// Counts are its counters that have moved, and by how much; Gauges what has another value than in the sample before.
	Counts map[string]float64 `json:"n,omitempty"`
	Gauges map[string]float64 `json:"g,omitempty"`
}

// Event is something that happened, or that somebody did.
type Event struct {
	Kind string `json:"k"`           // config, network, asked, warning, error, recorder
	Who  string `json:"w,omitempty"` // name and address
	Text string `json:"x"`
}

// Line is one of a log.
type Line struct {
	From string `json:"f"`
	Text string `json:"x"`
}

// The bounds of one record.
const (
	lineBytes  = 512
	eventBytes = 1024
	maxSeries  = 32 // counters, and as many gauges, in a sample
)

func cut(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// encode returns the record as a line. It fits into a block.
func (r Record) encode() []byte {
	for {
		var out bytes.Buffer
		in := json.NewEncoder(&out)
		in.SetEscapeHTML(false)
		if err := in.Encode(r); err != nil {
			return nil
		}
		if out.Len() <= roomBytes {
			return out.Bytes()
		}
		switch { // Escapes have made it longer than was thought.
		case r.Line != nil:
			r.Line = &Line{r.Line.From, cut(r.Line.Text, len(r.Line.Text)/2)}
		case r.Event != nil:
			r.Event = &Event{r.Event.Kind, cut(r.Event.Who, 100), cut(r.Event.Text, len(r.Event.Text)/2)}
		case r.Sample != nil:
			short := *r.Sample
			short.Counts, short.Gauges = nil, nil
			r.Sample = &short
		default:
			return nil
		}
	}
}

// decode reads the records of a block. What cannot be read is left out.
func decode(text []byte) (all []Record) {
	for line := range bytes.Lines(text) {
		var r Record
		if json.Unmarshal(line, &r) == nil {
			all = append(all, r)
		}
	}
	return all
}

// When is the record's time.
func (r Record) When() time.Time { return time.UnixMilli(r.Time).UTC() }

// String is the record for people, without its time.
func (r Record) String() string {
	switch {
	case r.Sample != nil:
		return r.Sample.String()
	case r.Event != nil && r.Event.Who != "":
		return fmt.Sprintf("** %s: %s: %s", r.Event.Kind, r.Event.Who, r.Event.Text)
	case r.Event != nil:
		return fmt.Sprintf("** %s: %s", r.Event.Kind, r.Event.Text)
	case r.Line != nil:
		return fmt.Sprintf("%s: %s", r.Line.From, r.Line.Text)
	}
	return "** the end: " + r.End
}

// String is the sample on one line.
func (s *Sample) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cpu %.0f%% free %d MiB load %.2f in %d out %d bytes", s.CPU, s.Free, s.Load, s.In, s.Out)
	if s.Temp != 0 {
		fmt.Fprintf(&b, " %.0f °C", s.Temp)
	}
	if s.Trouble != "" {
		return b.String() + "; accelerator: " + s.Trouble
	}
	fmt.Fprintf(&b, "; accelerator: cpu %.0f%% memory %d MiB lag %d µs", s.Busy, s.Memory, s.Lag)
	for _, name := range slices.Sorted(maps.Keys(s.Counts)) {
		fmt.Fprintf(&b, " %s +%v", name, s.Counts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Gauges)) {
		fmt.Fprintf(&b, " %s %v", name, s.Gauges[name])
	}
	return b.String()
}
