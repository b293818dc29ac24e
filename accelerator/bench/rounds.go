package main

import (
	"context"
	"fmt"

	"ramjet/accelerator/bench/load"
	"ramjet/accelerator/bench/peer"
)

// outcome is what a benchmark has found out.
type outcome struct {
	benchmark
	columns []column
}

// column is a subject's part of it: a sample for each round, or why not.
type column struct {
	subject
	samples []sample
	err     error
}

// progress is told after each step.
type progress func(format string, args ...any)

// carryOut starts a benchmark's servers, gives each a slice in every round, in
// another order each time, and stops them. A server that fails is out, with its
// reason; the others go on. The error is for what concerns all.
func (l *lab) carryOut(ctx context.Context, b benchmark, say progress) (outcome, error) {
	o := outcome{benchmark: b}
	var servers []*running
	defer func() {
		if err := peer.Move(l.cores...); err != nil { // The measures have moved to the client's core.
			say("%v", err)
		}
		for _, r := range servers {
			if r != nil {
				r.stop()
			}
		}
	}()
	var backend *load.Backend
	if b.forwards {
		var err error
		if backend, err = load.NewBackend(); err != nil {
			return o, err
		}
		defer backend.Close()
	}
	var answer *load.Answer
	for _, s := range b.subjects {
		if !l.usable(s) {
			continue
		}
		say("%s: starting %s, and checking its answers", b.title, s.name)
		r, err := l.start(ctx, b, s, backend, answer)
		if ctx.Err() != nil {
			return o, ctx.Err()
		}
		if r != nil && s.server == ramjet && answer == nil {
			answer = r.answer
		}
		servers = append(servers, r)
		o.columns = append(o.columns, column{subject: s, err: err})
	}
	if b.measure.prepare != nil {
		say("%s: preparing", b.title)
		if err := b.measure.prepare(ctx, l, present(servers)); ctx.Err() != nil {
			return o, ctx.Err()
		} else if err != nil {
			o.fail(err)
		}
	}
	for round := range l.plan.rounds {
		for k := range servers {
			i := (k + round) % len(servers)
			c := &o.columns[i]
			if c.err != nil {
				continue
			}
			s, err := b.measure.take(ctx, l, servers[i])
			if ctx.Err() != nil {
				return o, ctx.Err()
			}
			if err != nil {
				c.err = fmt.Errorf("%s: %w", c.name, err)
				continue
			}
			c.samples = append(c.samples, s)
			say("%s: round %d of %d, %s %s %s, %.0f requests/s", b.title, round+1, l.plan.rounds, c.name, number(s.figure), b.measure.unit, s.rate)
		}
	}
	o.checkLogs(servers)
	return o, nil
}

// fail is for what concerns all of a benchmark's subjects.
func (o *outcome) fail(err error) {
	for i := range o.columns {
		if o.columns[i].err == nil {
			o.columns[i].err = err
		}
	}
}

// present leaves out the servers that did not start.
func present(servers []*running) []*running {
	var all []*running
	for _, r := range servers {
		if r != nil {
			all = append(all, r)
		}
	}
	return all
}
