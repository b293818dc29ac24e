package backend

import (
	"strconv"
	"strings"
)

// Report is what a backend's agent says of it: a program on the same machine that
// sees more than a check does. The zero Report is that of a backend without one.
type Report struct {
	Less     int  // percent of its weight that it is not to have, 0 to 100
	Drain    bool // no new requests, but those of clients that stay with it
	Maint    bool // no requests at all
	Down     bool // as if its checks had failed
	InFlight int  // requests at a time, in place of the pool's limit; 0 leaves that
}

// String is the report in the agent's own words.
func (r Report) String() string {
	var words []string
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	add(r.Down, "down")
	add(r.Maint, "maint")
	add(r.Drain, "drain")
	add(r.Less > 0, strconv.Itoa(full-r.Less)+"%")
	add(r.InFlight > 0, "maxconn:"+strconv.Itoa(r.InFlight))
	return strings.Join(words, " ")
}

// Report returns what the agent said last.
func (b *Backend) Report() Report {
	if r := b.report.Load(); r != nil {
		return *r
	}
	return Report{}
}

// SetReport is for whoever asks the agent, and returns what was said before.
func (b *Backend) SetReport(r Report) (before Report) {
	next := &r
	if r == (Report{}) {
		next = nil // So that it costs nothing.
	}
	if old := b.report.Swap(next); old != nil {
		before = *old
	}
	return before
}

// Down reports whether the checks or the agent say that b is down.
func (b *Backend) Down() bool {
	r := b.report.Load()
	return b.Health() == Down || r != nil && r.Down
}

// kept reports whether somebody wants new requests to be kept from b, whatever
// becomes of the others.
func (b *Backend) kept() bool {
	r := b.report.Load()
	return b.Draining() || r != nil && (r.Drain || r.Maint || r.Less >= full)
}

// ready is the share, 1 to full, of its weight that b has at the time.
func (b *Backend) ready(warmth int64) int64 {
	if r := b.report.Load(); r != nil {
		return max(1, warmth*int64(full-r.Less)/full)
	}
	return warmth
}

// most is how many requests b may have at a time; 0 is no limit. While it comes back
// to its full weight, it comes back to that too.
func (p *Pool) most(b *Backend) int {
	most := p.settings.Limits.InFlight
	if r := b.report.Load(); r != nil && r.InFlight > 0 {
		most = r.InFlight
	}
	if most == 0 || p.settings.SlowStart == 0 {
		return most
	}
	return max(1, int(int64(most)*b.warmth(p.settings.Now().UnixNano(), p.settings.SlowStart)/full))
}

// room reports whether b may have one more request.
func (p *Pool) room(b *Backend) bool {
	most := p.most(b)
	return most == 0 || b.InFlight.Load() < int64(most)
}
