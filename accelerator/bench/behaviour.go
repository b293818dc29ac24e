package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"ramjet/accelerator/bench/load"
	"ramjet/accelerator/bench/peer"
)

// memory is what idle connections cost.
var memory = measure{what: "memory for idle connections", unit: "MB", prepare: rememberMemory, take: takeMemory}

// rememberMemory looks at the servers before their first connection, and that
// there may be so many.
func rememberMemory(_ context.Context, _ *lab, servers []*running) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	for _, r := range servers {
		need := uint64(r.shape.Connections + 2000)
		if r.shape.Backend != nil {
			need *= 2 // Each has another end.
		}
		if limit.Max < need {
			return fmt.Errorf("%d connections need a limit of open files of %d, but it is %d; see ulimit -Hn", r.shape.Connections, need, limit.Max)
		}
		var err error
		if r.memory, err = r.process.Memory(); err != nil {
			return err
		}
	}
	return nil
}

func takeMemory(ctx context.Context, l *lab, r *running) (sample, error) {
	if err := peer.Move(l.cores.client(1)...); err != nil {
		return sample{}, err
	}
	// An open loop gives work to all connections in turn.
	shape := r.shape
	shape.Rate = float64(shape.Connections)
	g, err := load.Open(shape)
	if err != nil {
		return sample{}, err
	}
	defer g.Close()
	s := sample{latency: load.NewLatency()}
	began, answers := time.Now(), int64(0)
	for answers < int64(shape.Connections) {
		n, err := g.Run(ctx, time.Second, s.latency)
		if err != nil {
			return s, err
		}
		answers += n
	}
	s.rate = float64(answers) / time.Since(began).Seconds()
	after, err := r.process.Memory()
	s.figure = float64(after-r.memory) / 1e6
	return s, err
}

// tail is the latency that one request in a thousand exceeds, at a load that all
// of the servers can bear.
var tail = measure{what: "p99.9 at the same rate", unit: "µs", prepare: prepareTail, take: takeTail}

// share is the part of its throughput at which a server's latency is measured.
const share = 0.7

func prepareTail(ctx context.Context, l *lab, servers []*running) error {
	return agreeOnRate(ctx, l, servers, share)
}

// agreeOnRate finds out what the slowest of the servers can do, and has all of
// them get a part of that.
func agreeOnRate(ctx context.Context, l *lab, servers []*running, share float64) error {
	least := 0.0
	for _, r := range servers {
		s, err := run(ctx, l, r)
		if err != nil {
			return err
		}
		if least == 0 || s.rate < least {
			least = s.rate
		}
	}
	for _, r := range servers {
		r.shape.Rate = share * least
	}
	return nil
}

var errBehind = errors.New("it did not answer all that was due")

func takeTail(ctx context.Context, l *lab, r *running) (sample, error) {
	s, err := run(ctx, l, r)
	if err != nil {
		return s, err
	}
	if s.rate < 0.9*r.shape.Rate {
		return s, fmt.Errorf("%w: %.0f requests per second of %.0f", errBehind, s.rate, r.shape.Rate)
	}
	s.figure = float64(s.latency.ValueAtPercentile(99.9)) / float64(time.Microsecond)
	return s, nil
}

// balance is how unevenly two loops share the work of a few connections.
var balance = measure{what: "work of the busier core over the mean", unit: "×", worst: true, take: takeBalance}

// trickle is a rate, per second, that no core finds hard: what a loop does then
// depends on its connections alone, and not on what else runs on its core.
const trickle = 3000

func takeBalance(ctx context.Context, l *lab, r *running) (sample, error) {
	before, err := r.process.Threads()
	if err != nil {
		return sample{}, err
	}
	trickling := *r
	trickling.shape.Rate = trickle
	s, err := run(ctx, l, &trickling)
	if err != nil {
		return s, err
	}
	after, err := r.process.Threads()
	if err != nil {
		return s, err
	}
	var used []float64
	for thread, t := range after {
		used = append(used, float64(t-before[thread]))
	}
	slices.Sort(used)
	if len(used) < 2 {
		return s, fmt.Errorf("it has %d threads for 2 cores", len(used))
	}
	most, second := used[len(used)-1], used[len(used)-2]
	s.figure = most / ((most + second) / 2)
	return s, nil
}
