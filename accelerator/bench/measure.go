package main

import (
	"context"
	"errors"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"ramjet/accelerator/bench/load"
	"ramjet/accelerator/bench/peer"
)

// plan is how long is measured.
type plan struct {
	rounds      int
	slice, warm time.Duration
}

// sample is what came out of one slice.
type sample struct {
	figure  float64       // the one that is compared, in the measure's unit
	cpu     time.Duration // of the server for each answer
	rate    float64       // answers per second
	busy    float64       // cores that the server used
	client  float64       // the part of its core that the client had; 0: they shared
	latency *hdrhistogram.Histogram
}

// measure is a kind of figure, and how to get it.
type measure struct {
	what  string // the figure
	unit  string
	worst bool // the worst round counts, not the median
	// prepare, if any, comes before the rounds and may look at all subjects.
	prepare func(context.Context, *lab, []*running) error
	take    func(context.Context, *lab, *running) (sample, error)
}

// cost is the server's CPU time for a request: what a request takes away from
// all others, however fast the client is.
var cost = measure{what: "CPU per request", unit: "µs", take: takeCost}

func takeCost(ctx context.Context, l *lab, r *running) (sample, error) {
	s, err := run(ctx, l, r)
	s.figure = float64(s.cpu) / float64(time.Microsecond)
	return s, err
}

var errStarved = errors.New("not one answer in a whole slice; the machine is too busy with other things")

// run gives a subject its load for one slice.
func run(ctx context.Context, l *lab, r *running) (sample, error) {
	if err := peer.Move(l.cores.client(r.loops)...); err != nil {
		return sample{}, err
	}
	g, err := load.Open(r.shape)
	if err != nil {
		return sample{}, err
	}
	defer g.Close()
	warm, err := g.Run(ctx, l.plan.warm, nil)
	if err != nil {
		return sample{}, err
	}
	if err := r.process.Recount(); err != nil {
		return sample{}, err
	}
	s := sample{latency: load.NewLatency()}
	before, err := r.process.CPU()
	if err != nil {
		return s, err
	}
	own, err := ownCPU()
	if err != nil {
		return s, err
	}
	made := r.made()
	began := time.Now()
	answers, err := g.Run(ctx, l.plan.slice, s.latency)
	if err != nil {
		return s, err
	}
	took := time.Since(began)
	r.answers += warm + answers
	after, err := r.process.CPU()
	if err != nil {
		return s, err
	}
	s.cpu = (after - before) / time.Duration(max(answers, 1))
	s.rate = float64(answers) / took.Seconds()
	s.busy = float64(after-before) / float64(took)
	if answers == 0 {
		return s, errStarved
	}
	if err := checkKept(r.made()-made, answers); err != nil {
		return s, err
	}
	if r.loops < len(l.cores) {
		now, err := ownCPU()
		s.client = float64(now-own) / float64(took)
		return s, err
	}
	return s, nil
}

// ownCPU is the CPU time that this program has used. It should use all of its
// core, for the client never sleeps.
func ownCPU() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}
