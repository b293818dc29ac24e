package eventloop

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Counter is something that each loop counts.
type Counter uint8

// The counters, in the order of the table Counters.
const (
	Accepted Counter = iota
	AcceptErrors
	Crowded
	Moved
	Requests
	OK
	NotModified
	Bytes
	MemoryBytes
	FileBytes
	ColdReads
	IdleTimeouts
	HeadTimeouts
	StallTimeouts
	Resets
	HandedOff
	HandoffDropped
	RelaysBegun
	RelaysWhole

	numCounters
)

// Counters describes each Counter: the metric's label, and one line for a person.
var Counters = [numCounters]struct{ Name, Text string }{
	Accepted:       {"accepted", "connections accepted"},
	AcceptErrors:   {"accept_errors", "connections that could not be accepted: no descriptor, no memory"},
	Crowded:        {"crowded", "connections closed at once: too many from their address"},
	Moved:          {"moved", "connections given to a loop that had fewer"},
	Requests:       {"requests", "requests answered by the loop"},
	OK:             {"ok", "answers with status 200"},
	NotModified:    {"not_modified", "answers with status 304"},
	Bytes:          {"bytes", "bytes sent, heads included"},
	MemoryBytes:    {"memory_bytes", "bytes of bodies from memory"},
	FileBytes:      {"file_bytes", "bytes of bodies from files"},
	ColdReads:      {"cold_reads", "pieces of files that had to be fetched from disk"},
	IdleTimeouts:   {"idle_timeouts", "kept connections closed because no request came"},
	HeadTimeouts:   {"head_timeouts", "connections closed because a head did not come to its end"},
	StallTimeouts:  {"stall_timeouts", "connections cut because the client took nothing of its answer"},
	Resets:         {"resets", "connections that the client broke off"},
	HandedOff:      {"handed_off", "connections handed to the complete tier"},
	HandoffDropped: {"handoff_dropped", "connections closed because the complete tier was too far behind"},
	RelaysBegun:    {"relays", "requests that the loop sent to a backend"},
	RelaysWhole:    {"relayed", "answers of backends that the loop passed on whole"},
}

// numLags are the buckets of the lag histogram: up to 1 µs, 2 µs, 4 µs, …
const numLags = 21

// tally is what one loop counts, in plain memory. It is published, word by word,
// from time to time: nobody stops the loop to read it.
type tally struct {
	counters [numCounters]uint64
	handoffs [NumReasons]uint64
	lags     [numLags]uint64
	lagSum   uint64 // nanoseconds
}

const numWords = int(numCounters) + int(NumReasons) + numLags + 1

// published is a tally for other goroutines.
type published [numWords]atomic.Uint64

func (p *published) publish(t *tally) {
	words := t.words()
	for i, n := range words {
		if p[i].Load() != n {
			p[i].Store(n)
		}
	}
}

// words are the numbers of t in one row.
func (t *tally) words() (w [numWords]uint64) {
	n := copy(w[:], t.counters[:])
	n += copy(w[n:], t.handoffs[:])
	n += copy(w[n:], t.lags[:])
	w[n] = t.lagSum
	return w
}

// lag notes how long the last event of a batch may have waited for its turn.
func (t *tally) lag(ns int64) {
	t.lags[min(bits.Len64(uint64(ns)/1000), numLags-1)]++
	t.lagSum += uint64(ns)
}

// Count returns the sum of a counter over all loops.
func (s *Server) Count(c Counter) (sum uint64) {
	for _, l := range s.loops {
		sum += l.published[c].Load()
	}
	return sum
}

// CountOf returns a counter of one loop, 0 to Loops-1.
func (s *Server) CountOf(loop int, c Counter) uint64 { return s.loops[loop].published[c].Load() }

// Kept returns how many connections a loop has that stay between requests.
func (s *Server) Kept(loop int) int64 { return s.loops[loop].kept.Load() }

// Handoffs returns the number of requests handed off for a reason.
func (s *Server) Handoffs(r Reason) (sum uint64) {
	for _, l := range s.loops {
		sum += l.published[int(numCounters)+int(r)].Load()
	}
	return sum
}

// Lag returns the histogram of how long events waited for their loop: for each
// upper bound in seconds how many did not wait longer, their number and the sum
// of their waits.
func (s *Server) Lag() (atMost map[float64]uint64, n uint64, sum float64) {
	atMost = make(map[float64]uint64, numLags)
	first := int(numCounters) + int(NumReasons)
	for i := range numLags {
		for _, l := range s.loops {
			n += l.published[first+i].Load()
		}
		if i < numLags-1 { // The last has no bound.
			atMost[(time.Duration(1<<i) * time.Microsecond).Seconds()] = n
		}
	}
	for _, l := range s.loops {
		sum += float64(l.published[first+numLags].Load()) / 1e9
	}
	return atMost, n, sum
}
