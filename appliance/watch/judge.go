package watch

import "time"

// evidence is what was seen around one probe.
type evidence struct {
	answered bool // it got an answer, or the end of its connection: somebody acts
	refused  bool // nobody listens
	late     bool // the watcher itself came late: the whole machine had no time, or was stopped

	admin bool // the admin socket answered meanwhile
	work  bool // requests of others were answered since the last probe
	full  bool // there are as many connections as may be, so that new ones wait

	stopped bool          // the kernel says that the process is stopped
	cpu     time.Duration // processor time that the process used meanwhile
	took    time.Duration // by the probe
}

// verdict is what one probe says.
type verdict int

const (
	well    verdict = iota
	absent          // nobody listens: there is nothing to end, gokrazy starts it
	unclear         // says nothing, for or against
	busy            // no answer, and no hang
	hangs           // counts
	spins           // counts as well, and more of them are wanted
)

func (v verdict) String() string {
	return [...]string{"well", "nobody listens", "unclear", "busy", "hangs", "uses the processor and does not answer"}[v]
}

// judge is the rule. A busy server answers late; it is told from a hung one by a second opinion: its admin socket answers, and
// it does work for others, or has as many connections as it may have. If that is silent as well, it has no excuse, but a process
// that uses the processor all the while gets more time.
func judge(e evidence) verdict {
	switch {
	case e.answered:
		return well
	case e.refused:
		return absent
	case e.late:
		return unclear
	case e.stopped:
		return hangs
	case e.admin && (e.work || e.full):
		return busy
	case !e.admin && e.cpu >= e.took/2:
		return spins
	}
	return hangs
}

// How many failed probes in a row end it. A failed probe takes Timeout; together it is less than 30 s, with the second until
// the first of them begins.
const (
	enough         = 5
	enoughSpinning = 8
	timeout        = 3 * time.Second
	every          = time.Second
)

// count is how many probes failed in a row.
type count struct{ failed int }

// add counts a probe, and reports whether it is time to end it.
func (c *count) add(v verdict) bool {
	switch v {
	case well, absent, busy:
		c.failed = 0
	case hangs:
		c.failed++
		return c.failed >= enough
	case spins:
		c.failed++
		return c.failed >= enoughSpinning
	}
	return false
}
