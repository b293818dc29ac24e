package site

import (
	"sync/atomic"

	"ramjet/accelerator/content"
)

// Counters count what became of requests. They outlive a Site: the next one
// goes on counting.
type Counters struct {
	Outcomes [len(outcomes)]atomic.Uint64
	Failed   [8]atomic.Uint64 // by number of the first rule that failed
}

// An Outcome is what became of a request.
type Outcome int

// The outcomes, in the order of the table below.
const (
	Static Outcome = iota
	Forwarded
	Answered
	Refused
	Unreadable
)

var outcomes = [...]struct{ label, help string }{
	Static:     {"static", "answered from the content"},
	Forwarded:  {"forwarded", "passed on to the farm"},
	Answered:   {"answered", "not static and no farm to ask: 404, 403, 405, OPTIONS"},
	Refused:    {"refused", "refused at the door: TRACE, CONNECT, a target that is not an http URI, body too large"},
	Unreadable: {"unreadable", "static, but its bytes could not be read: passed on, or 503"},
}

// String returns the outcome's metric label.
func (o Outcome) String() string { return outcomes[o].label }

// Help says what the outcome means.
func (o Outcome) Help() string { return outcomes[o].help }

// Outcomes lists all of them.
func Outcomes() []Outcome { return []Outcome{Static, Forwarded, Answered, Refused, Unreadable} }

func (s *Site) count(o Outcome) {
	if s.Counters != nil {
		s.Counters.Outcomes[o].Add(1)
	}
}

func (s *Site) countFailed(rule *content.Rule) {
	if s.Counters != nil && rule != nil {
		s.Counters.Failed[rule.Number].Add(1)
	}
}
