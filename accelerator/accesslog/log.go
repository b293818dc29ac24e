package accesslog

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a Log.
type Options struct {
	Format Format
	To     Destination

	// RotateBytes is the size, in bytes, that a file does not exceed; the next
	// one is begun before. 0 means DefaultRotateBytes; less than the 128 KiB of
	// a batch makes a file for each batch.
	RotateBytes int64
	// RotateAge is the age at which a file that is not empty is ended; 0 is never.
	RotateAge time.Duration
	// KeepBytes bounds the bytes of the file and of those ended before, together;
	// the oldest are removed. 0 means DefaultKeepBytes.
	KeepBytes int64

	// RingBytes is the memory of one ring, a power of two; 0 means
	// DefaultRingBytes. It counts for rings made, or switched on, later.
	RingBytes int
}

// The defaults of Options.
const (
	DefaultRotateBytes = 16 << 20
	DefaultKeepBytes   = 128 << 20

	// DefaultRingBytes holds some 4,000 requests: 40 ms of a core at its limit,
	// more than the writer ever has to wait for a processor.
	DefaultRingBytes = 1 << 20
)

func (o Options) withDefaults() Options {
	if o.RotateBytes == 0 {
		o.RotateBytes = DefaultRotateBytes
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = DefaultKeepBytes
	}
	if o.RingBytes == 0 {
		o.RingBytes = DefaultRingBytes
	}
	return o
}

// Log is an access log. Its methods may be called by any goroutine.
type Log struct {
	log     *slog.Logger
	kick    chan struct{} // of capacity 1: the writer has something to do
	napping atomic.Bool   // the writer sleeps: rings that run full wake it

	lines       atomic.Uint64
	lost        atomic.Uint64 // lines and records that the writer gave up
	writeErrors atomic.Uint64

	mu     sync.Mutex
	rings  []*Ring // guarded by mu; it only grows
	wanted Options // guarded by mu
	reopen bool    // guarded by mu: Reopen was called
}

// New makes a log. Nothing is opened, and nothing written, before Run. What goes
// wrong with the destination is said to log.
func New(o Options, log *slog.Logger) *Log {
	return &Log{log: log, kick: make(chan struct{}, 1), wanted: o.withDefaults()}
}

// NewRing makes a ring for one goroutine. It lasts as long as the log.
func (l *Log) NewRing() *Ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &Ring{log: l}
	if l.wanted.Format != Off {
		r.memory.Store(newMemory(l.wanted.RingBytes))
	}
	l.rings = append(l.rings, r)
	return r
}

// NewShared makes a ring for any number of goroutines. It lasts as long as the log.
func (l *Log) NewShared() *Shared { return &Shared{ring: l.NewRing()} }

// Set changes the settings. If they switch the log on, rings take records by the
// time it returns. The writer follows a moment later: it writes what there is by
// then as before, closes the old destination and opens the new one.
func (l *Log) Set(o Options) {
	o = o.withDefaults()
	l.mu.Lock()
	defer l.mu.Unlock()
	if o == l.wanted {
		return
	}
	l.wanted = o
	if o.Format != Off {
		for _, r := range l.rings {
			if !r.On() {
				r.memory.Store(newMemory(o.RingBytes))
			}
		}
	}
	l.notify()
}

// Reopen makes the writer close its file, or connection, and open it again, for
// programs that rename the file, such as logrotate.
func (l *Log) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reopen = true
	l.notify()
}

// notify tells the writer that mu guards something new for it.
func (l *Log) notify() {
	select {
	case l.kick <- struct{}{}:
	default: // It has been told.
	}
}

// wake wakes the writer if it sleeps. It is called by producers.
func (l *Log) wake() {
	if l.napping.Load() && l.napping.CompareAndSwap(true, false) {
		l.notify()
	}
}

// Stats are what a Log counted since New.
type Stats struct {
	Lines       uint64 // written
	Dropped     uint64 // requests that have no line: the writer was too slow, or the destination failed
	WriteErrors uint64 // attempts to open or to write that failed
}

// Stats returns the counts.
func (l *Log) Stats() Stats {
	s := Stats{Lines: l.lines.Load(), Dropped: l.lost.Load(), WriteErrors: l.writeErrors.Load()}
	for _, r := range l.allRings() {
		s.Dropped += r.dropped.Load()
	}
	return s
}

// allRings returns the rings there are. They are not to be changed.
func (l *Log) allRings() []*Ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rings
}
