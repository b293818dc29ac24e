package guard

import (
	"strconv"
	"strings"
	"time"
)

// How long a trial may take depends on how slow the machine is, which the version before it knows: it says by an argument
// of the kernel's command line how long its successor may take to begin. The rest follows from that.

// argument is followed by whole seconds.
const argument = "ramjet.patience="

// The bounds of what is said; the least is what counts without it.
const (
	leastPatience = 40 * time.Second
	mostPatience  = 3 * time.Minute
)

// Argument says on the command line of a trial how long its appliance may take from the start of the kernel to its first
// sign of life, where that of the running version took so long: thrice that.
func Argument(took time.Duration) string {
	return argument + strconv.Itoa(int(bounded(3*took)/time.Second))
}

// patience reads a command line.
func patience(line string) time.Duration {
	for word := range strings.FieldsSeq(line) {
		if text, ok := strings.CutPrefix(word, argument); ok {
			seconds, _ := strconv.Atoi(text)
			return bounded(time.Duration(seconds) * time.Second)
		}
	}
	return leastPatience
}

func bounded(d time.Duration) time.Duration { return min(max(d, leastPatience), mostPatience) }

// Gate is how long the version on trial, whose command line that is, may take from then on to be found healthy.
func Gate(line string) time.Duration { return patience(line) + 5*time.Second }

// limit is how long the watcher waits for the confirmation.
func limit(first time.Duration) time.Duration { return 2*first + 10*time.Second }
