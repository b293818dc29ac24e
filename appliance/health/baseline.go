package health

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"ramjet/appliance/durable"
)

// Baseline is what was while all was well.
type Baseline struct {
	Time    time.Time `json:"time"`
	Gateway string    `json:"gateway,omitempty"` // that answered
	Pools   []string  `json:"pools,omitempty"`   // with a backend that was up
	Errors  *float64  `json:"errors,omitempty"`  // share of 5xx; nil: never measured
	Waiting *float64  `json:"waiting,omitempty"` // seconds that 99 of 100 events waited at most
}

const (
	saveEvery = 5 * time.Minute // at most
	settled   = time.Hour       // after which what was different before is forgotten
)

// baseline reads it once. One that cannot be read is none: the checks that need it say so.
func (t *Tree) baseline() *Baseline {
	if t.before != nil {
		return t.before
	}
	t.before = &Baseline{}
	if t.Baseline == "" {
		return t.before
	}
	text, err := durable.Read(t.Baseline)
	if err == nil && text != nil {
		err = json.Unmarshal(text, t.before)
	}
	if err != nil {
		t.before = &Baseline{}
		(&look{Tree: t}).log().Warn("what was before is lost", "file", t.Baseline, "err", err)
	}
	return t.before
}

// save keeps what was just seen, if all is well, and not more often than a cheap card stands. The lock is held.
func (t *Tree) save(report Report, l *look) error {
	if t.Baseline == "" || !t.saved.IsZero() && l.now.Sub(t.saved) < saveEvery {
		return nil
	}
	forget := false
	for i, row := range Checks {
		c := report.Checks[i]
		switch {
		case c.State != Failed:
		case row.Relative && l.now.Sub(c.Since) >= settled:
			forget = true // So it is now: a gateway that was taken away is not missed for ever.
		default:
			return nil
		}
	}
	next := l.next(forget)
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.MakeDir(filepath.Dir(t.Baseline)); err != nil {
		return err
	}
	if err := durable.Write(t.Baseline, append(text, '\n')); err != nil {
		return err
	}
	t.before, t.saved = &next, l.now
	return nil
}

// next is what is known with this look. What could not be measured stays as it was, unless that is to be forgotten. The
// lock is held.
func (l *look) next(forget bool) Baseline {
	next := *l.before
	next.Time = l.now.UTC().Truncate(time.Second)
	if l.via != "" || forget {
		next.Gateway = l.via
	}
	pools := []string{}
	for pool, up := range l.pools {
		if up || !forget && slices.Contains(next.Pools, pool) {
			pools = append(pools, pool)
		}
	}
	slices.Sort(pools)
	if l.status != nil {
		next.Pools = pools
	}
	if l.share != nil {
		next.Errors = l.share
	}
	if l.waiting != nil {
		next.Waiting = l.waiting
	}
	return next
}

// Keeper is the task that looks from time to time, says what changed, and keeps what was while all is well.
type Keeper struct {
	Tree  *Tree
	Every time.Duration // 0: 30 s
	// Trial tells whether a version or a configuration is being tried: nothing is kept then. Nil: never.
	Trial func() bool
}

// String names the task.
func (k *Keeper) String() string { return "health" }

// Run looks until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	every := k.Every
	if every == 0 {
		every = 30 * time.Second
	}
	var last *bool
	for {
		report := k.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		log := (&look{Tree: k.Tree}).log()
		switch {
		case last != nil && *last == report.Healthy:
		case report.Healthy:
			log.Info("the box is healthy", "score", report.Score)
		default:
			log.Warn("the box is not healthy", "score", report.Score, "failed", report.Failed())
		}
		last = &report.Healthy
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func (k *Keeper) once(ctx context.Context) Report {
	k.Tree.mu.Lock()
	defer k.Tree.mu.Unlock()
	report, l := k.Tree.look(ctx)
	if ctx.Err() != nil || k.Trial != nil && k.Trial() {
		return report
	}
	if err := k.Tree.save(report, l); err != nil {
		l.log().Warn("what is now cannot be kept for later", "file", k.Tree.Baseline, "err", err)
	}
	return report
}
