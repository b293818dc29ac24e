package accesslog

import (
	"bytes"
	"context"
	"time"
)

// The bounds of the writer's sleep. It aims at rings that are a quarter full when
// it wakes: many requests in one write and room for a burst. An idle server is
// woken once a second, and no line is later than that.
const (
	minNap = time.Millisecond
	maxNap = time.Second
	aim    = 0.25
	offNap = time.Hour // Set wakes it.
)

// The pauses after a failure, doubled each time.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// batchBytes is how much is formatted before it is written. With half of it a line
// pays a sixth more for write(2), with twice as much a tenth less.
const batchBytes = 128 << 10

// writer is the goroutine of Log.Run.
type writer struct {
	*Log
	options Options
	format  formatter
	to      destination // nil: not open

	batch []byte // whole lines, not yet written
	count uint64 // of them
	last  time.Time
	nap   time.Duration

	failing bool // the last attempt failed
	pause   time.Duration
	retry   time.Time // no attempt before
	missing uint64    // Stats.Dropped when it began to fail
}

// String names the task.
func (l *Log) String() string { return "access log" }

// Run writes until ctx ends, then writes what is left, and waits for the disk. So
// ctx should end after the last request has. It is called once; the error is
// always nil: a log that cannot be written is no reason to end a server.
func (l *Log) Run(ctx context.Context) error {
	w := &writer{Log: l, last: time.Now(), nap: maxNap}
	w.turn()
	timer := time.NewTimer(w.nap)
	defer timer.Stop()
	for {
		l.napping.Store(!w.failing) // There is no use in waking it for what it cannot write.
		select {
		case <-ctx.Done():
			l.napping.Store(false)
			w.end()
			return nil
		case <-timer.C:
		case <-l.kick:
		}
		l.napping.Store(false)
		w.turn()
		timer.Reset(w.nap)
	}
}

// turn is what the writer does each time it wakes.
func (w *writer) turn() {
	w.adopt()
	now := time.Now()
	switch {
	case w.options.Format == Off:
		w.nap = offNap
	case w.failing && now.Before(w.retry):
		w.nap = w.retry.Sub(now)
	default:
		fullest := w.drain()
		w.nap = nextNap(now.Sub(w.last), fullest)
		if w.failing {
			w.nap = w.pause
		} else if err := w.to.tick(now); err != nil {
			w.fail(err)
		}
	}
	w.last = now
}

// nextNap returns how long to sleep if a ring was filled to that part in that time.
func nextNap(took time.Duration, part float64) time.Duration {
	longest := min(2*max(took, minNap), maxNap)
	if part <= 0 {
		return longest
	}
	return time.Duration(min(max(float64(took)*aim/part, float64(minNap)), float64(longest)))
}

// adopt follows Set and Reopen.
func (w *writer) adopt() {
	w.mu.Lock()
	wanted, reopen := w.wanted, w.reopen
	w.reopen = false
	w.mu.Unlock()
	if wanted == w.options && !reopen {
		return
	}
	if w.options.Format != Off {
		w.drain() // Under the settings that these requests were made under.
		w.close()
	}
	if wanted != w.options {
		w.give(w.count)
		w.batch = w.batch[:0]
	}
	w.release()
	w.options = wanted
	w.retry, w.pause = time.Time{}, 0
}

// release takes the memory from the rings if the log is off. A record that is being
// put into one at that moment is lost.
func (w *writer) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted.Format != Off {
		return // Since when adopt looked, perhaps.
	}
	for _, r := range w.rings {
		if m := r.memory.Swap(nil); m != nil {
			w.lost.Add(m.discard())
		}
	}
}

// give counts lines that will never be written.
func (w *writer) give(lines uint64) {
	w.lost.Add(lines)
	w.count = 0
}

// drain writes what is in the rings now, and returns to which part the fullest
// one was filled. It stops when the destination fails: the batch and the rings
// keep what they have until the next attempt.
func (w *writer) drain() (fullest float64) {
	if !w.flush() {
		return 0
	}
	for _, r := range w.allRings() {
		m := r.memory.Load()
		if m == nil {
			continue
		}
		fullest = max(fullest, float64(m.used())/float64(len(m.data)))
		if !w.empty(m) {
			break
		}
	}
	w.flush()
	return fullest
}

// empty formats what is in a ring now, and writes all but the last batch. It
// returns false if writing failed.
func (w *writer) empty(m *memory) bool {
	var record Record
	line := Formats[w.options.Format].append
	head, tail := m.head.Load(), m.tail.Load()
	for {
		entry, behind := m.next(tail, head)
		tail = behind
		if entry == nil {
			break
		}
		getEntry(entry, &record)
		w.batch = line(&w.format, w.batch, &record)
		w.count++
		if len(w.batch) >= batchBytes {
			m.tail.Store(tail)
			if !w.flush() {
				return false
			}
		}
	}
	m.tail.Store(tail)
	return true
}

// flush writes the batch, opening the destination if need be. It returns false if
// that failed, and the batch keeps the lines that were not written.
func (w *writer) flush() bool {
	if w.to == nil {
		to, err := w.options.open(time.Now())
		if err != nil {
			w.fail(err)
			return false
		}
		w.to = to
	}
	if len(w.batch) > 0 {
		n, err := w.to.write(w.batch)
		if err != nil {
			written := uint64(bytes.Count(w.batch[:n], []byte("\n")))
			w.lines.Add(written)
			w.count -= written
			w.batch = append(w.batch[:0], w.batch[n:]...)
			w.fail(err)
			return false
		}
		w.lines.Add(w.count)
		w.batch, w.count = w.batch[:0], 0
	}
	w.recovered()
	return true
}

// fail closes the destination and says what is wrong, once, until it works again.
func (w *writer) fail(err error) {
	w.writeErrors.Add(1)
	w.close()
	w.pause = min(max(2*w.pause, firstPause), lastPause)
	w.retry = time.Now().Add(w.pause)
	if !w.failing {
		w.failing, w.missing = true, w.Stats().Dropped
		w.log.Error("the access log cannot be written: mend it, or change where it goes and reload; it is tried again, and requests are served without", "to", w.options.To, "err", err)
	}
}

// recovered says that it works again, if it did not.
func (w *writer) recovered() {
	if w.failing {
		w.log.Info("the access log is written again", "to", w.options.To, "dropped", w.Stats().Dropped-w.missing)
	}
	w.failing, w.pause = false, 0
}

func (w *writer) close() {
	if w.to == nil {
		return
	}
	if err := w.to.close(); err != nil && !w.failing {
		w.log.Warn("closing the access log failed; its last lines may be missing", "to", w.options.To, "err", err)
	}
	w.to = nil
}

// end writes what is left, whatever failed before, and counts what could not be.
func (w *writer) end() {
	w.adopt()
	if w.options.Format == Off {
		return
	}
	w.drain()
	if w.to != nil {
		if err := w.to.sync(); err != nil {
			w.fail(err)
		}
	}
	w.close()
	left := w.count
	for _, r := range w.allRings() {
		if m := r.memory.Load(); m != nil {
			left += m.discard()
		}
	}
	w.give(left)
	if left > 0 {
		w.log.Warn("the end of the access log could not be written", "to", w.options.To, "dropped", left)
	}
}

// discard empties a ring and returns how many entries there were.
func (m *memory) discard() (entries uint64) {
	head, tail := m.head.Load(), m.tail.Load()
	for {
		entry, behind := m.next(tail, head)
		tail = behind
		if entry == nil {
			break
		}
		entries++
	}
	m.tail.Store(tail)
	return entries
}
