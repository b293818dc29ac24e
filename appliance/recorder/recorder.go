// Package recorder is the flight recorder: what the box measured each second, what its programs and kernel said, what was
// changed and by whom. The last ten minutes before a crash, a power cut or a revert are kept, and can be read afterwards.
//
// Everything goes into a ring on the disk (ring.go), every two seconds, which is what a power cut costs at most; an error
// goes there before the call that logs it returns. At the start of the program the ring tells how the last start of the
// machine has ended: with the mark of a clean end, or without; then its end becomes a flight, a file of its own.
//
// It is made for SD cards: at most two blocks of 4 KiB are written each time, usually one, which is 120 KiB a minute.
package recorder

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The bounds of what is written in one turn. What is over is left out, log lines first, and counted.
const (
	turnBlocks  = 2
	turnLines   = 4 << 10 // bytes of log lines
	turnEvents  = 8
	maxQueue    = 1000 // records that wait for the disk
	ringBlocks  = 1024 // 4 MiB: ten minutes have at most 900
	span        = 10 * time.Minute
	keepFlights = 16
	errorEvery  = time.Second     // between writes that errors ask for
	errorWait   = 2 * time.Second // for the disk, in the call that logs an error
	crashEvery  = 10 * time.Minute
)

// Recorder is the task. The zero values of times are for the box.
type Recorder struct {
	Ring    string // file
	Flights string // directory
	Boot    string // /proc/sys/kernel/random/boot_id
	Version string // of this program
	Socket  string // admin socket of the accelerator
	// Wait returns when the box has time for this; nil: at once.
	Wait func(ctx context.Context)
	// Expected tells that the accelerator may be started again just now; nil: never.
	Expected func() bool
	Log      *slog.Logger // nil means slog.Default()

	Every time.Duration // between samples; 0: 1 s
	Turn  time.Duration // between writes; 0: 2 s

	mu       sync.Mutex
	queue    []Record  // guarded by mu
	lines    int       // guarded by mu: bytes of log lines since the last turn
	events   int       // guarded by mu: since the last turn
	left     int       // guarded by mu: records left out since the last turn
	ended    bool      // guarded by mu: nothing more is recorded
	last     *Run      // guarded by mu: how the start of the machine before this one ended; nil: not known yet
	urged    time.Time // guarded by mu: when an error was written
	keep     chan string
	crashed  time.Time // owned by Run: when a crash of the accelerator was kept
	failing  bool      // guarded by disk
	disk     sync.Mutex
	ring     *ring // guarded by disk; nil: not open
	prepared sync.Once
}

// Run is how a start of the machine has ended.
type Run struct {
	Boot   string    `json:"boot"`
	Ended  time.Time `json:"ended"` // the last that is known of it
	Clean  bool      `json:"clean"`
	Why    string    `json:"why"`
	Flight int       `json:"flight,omitempty"` // its last minutes
}

// String names the task.
func (r *Recorder) String() string { return "flight recorder" }

func (r *Recorder) prepare() {
	r.prepared.Do(func() {
		r.Log = cmp.Or(r.Log, slog.Default())
		r.Every, r.Turn = cmp.Or(r.Every, time.Second), cmp.Or(r.Turn, 2*time.Second)
		r.keep = make(chan string, 4)
	})
}

// Run records until ctx ends. A disk that takes nothing is no reason to end.
func (r *Recorder) Run(ctx context.Context) error {
	r.prepare()
	if r.Wait != nil {
		r.Wait(ctx)
	}
	defer func() {
		r.End("the appliance was asked to end: a reboot, or a restart of the program")
		r.disk.Lock()
		r.ring.close()
		r.ring = nil
		r.disk.Unlock()
	}()
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(func() { r.writer(ctx) })
	s := newSampler(r.Socket)
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.sample(ctx, s)
		}
	}
}

// writer writes, beside the measuring: a card may take its time.
func (r *Recorder) writer(ctx context.Context) {
	turn := time.NewTicker(r.Turn)
	defer turn.Stop()
	for {
		r.write()
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		case why := <-r.keep:
			r.write()
			r.keepNow(why)
		}
	}
}

func (r *Recorder) sample(ctx context.Context, s *sampler) {
	sample, again := s.take(ctx)
	if ctx.Err() != nil {
		return
	}
	r.add(Record{Sample: sample})
	if !again {
		return
	}
	r.Note("recorder", "", "the accelerator was started again")
	if r.Expected != nil && r.Expected() || !r.crashed.IsZero() && time.Since(r.crashed) < crashEvery {
		return
	}
	r.crashed = time.Now()
	r.Keep("the accelerator has ended, and was started again")
}

// Note records that something happened. It does not block.
func (r *Recorder) Note(kind, who, text string) {
	r.add(Record{Event: &Event{kind, cut(who, 200), cut(text, eventBytes)}})
}

// Heard records a line of a log. It does not block.
func (r *Recorder) Heard(from, line string) { r.add(Record{Line: &Line{from, cut(line, lineBytes)}}) }

// add queues a record, if it is not one too many.
func (r *Recorder) add(rec Record) {
	rec.Time, rec.Up = time.Now().UnixMilli(), uptime().Milliseconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case rec.Line != nil:
		r.lines += len(rec.Line.Text) + 50
	case rec.Event != nil:
		r.events++
	}
	if r.ended {
		return
	}
	if rec.Line != nil && r.lines > turnLines || rec.Event != nil && r.events > turnEvents || len(r.queue) >= maxQueue {
		r.left++
		return
	}
	r.queue = append(r.queue, rec)
}

// uptime is the time since the start of the machine.
func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// write has the disk take what is queued, as far as there is room in a turn. It returns when it has.
func (r *Recorder) write() {
	r.prepare()
	r.disk.Lock()
	defer r.disk.Unlock()
	err := r.open()
	if err == nil {
		err = r.pack()
	}
	switch {
	case err != nil:
		r.ring.close()
		r.ring = nil
		if !r.failing {
			// Not above Info: an error would come back here.
			r.Log.Info("the flight recorder cannot write for now", "err", err)
		}
	case r.failing:
		r.Log.Info("the flight recorder writes again")
	}
	r.failing = err != nil
}

// pack writes the queue in blocks. Called with disk held, and the ring open.
func (r *Recorder) pack() error {
	r.mu.Lock()
	queue := r.queue
	if r.left > 0 {
		now := Record{Time: time.Now().UnixMilli(), Up: uptime().Milliseconds()}
		now.Event = &Event{Kind: "recorder", Text: fmt.Sprintf("%d records were left out: too many at once", r.left)}
		queue = append(queue, now)
	}
	r.queue, r.lines, r.events, r.left = nil, 0, 0, 0
	r.mu.Unlock()
	var full [][]byte
	var records []byte
	done := 0
	for _, rec := range queue {
		line := rec.encode()
		if len(records)+len(line) > roomBytes {
			if len(full) == turnBlocks-1 {
				break
			}
			full, records = append(full, records), nil
		}
		records = append(records, line...)
		done++
	}
	var err error
	if len(records) > 0 {
		for _, records := range append(full, records) {
			if err = r.ring.append(records); err != nil {
				break
			}
		}
		if err == nil {
			err = r.ring.sync()
		}
	}
	if err != nil {
		done = 0
	}
	if done < len(queue) {
		r.mu.Lock()
		r.queue = append(queue[done:len(queue):len(queue)], r.queue...)
		if over := len(r.queue) - maxQueue; over > 0 {
			r.queue, r.left = r.queue[over:], r.left+over
		}
		r.mu.Unlock()
	}
	return err
}

// End records that what follows is no accident, and returns when that is on the disk. It is the last that is recorded.
func (r *Recorder) End(why string) {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	r.ended = true
	r.queue = append(r.queue, Record{Time: time.Now().UnixMilli(), Up: uptime().Milliseconds(), End: why})
	r.mu.Unlock()
	for range 12 { // Two blocks a time.
		r.write()
		r.mu.Lock()
		left := len(r.queue)
		r.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

// Urge has what is queued written at once, and waits for that a little, unless it was just done.
func (r *Recorder) Urge() {
	r.mu.Lock()
	soon := time.Since(r.urged) < errorEvery
	if !soon {
		r.urged = time.Now()
	}
	r.mu.Unlock()
	if soon {
		return
	}
	done := make(chan struct{})
	go func() { r.write(); close(done) }()
	select {
	case <-done:
	case <-time.After(errorWait): // The disk hangs: the caller has better things to do.
	}
}

// Keep makes a flight of the last minutes, soon. It does not block.
func (r *Recorder) Keep(why string) {
	r.prepare()
	r.Note("recorder", "", "keeping this flight: "+why)
	select {
	case r.keep <- why:
	default: // There are some to be made already, of the same minutes.
	}
}

// keepNow makes a flight of what the ring has of this start of the machine.
func (r *Recorder) keepNow(why string) {
	r.disk.Lock()
	defer r.disk.Unlock()
	if r.ring == nil {
		return
	}
	all, err := r.ring.read()
	if err == nil {
		_, err = r.store(all, r.ring.boot, why)
	}
	if err != nil {
		r.Log.Info("a flight could not be kept", "why", why, "err", err)
	}
}
