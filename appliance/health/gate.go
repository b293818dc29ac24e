package health

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// Gate says whether a new version of the box is healthy, compared with the one before it: the same tree of checks, with
// two differences. What it compares with is what was before the update, and what failed already then is no fault of the
// new version. It is what package update asks, and knows nothing of updates itself.
type Gate struct {
	Tree *Tree
	// Patience is how long a check that fails may take to mend before an update; 0 means 15 s. An accelerator that has
	// just been started fails one for 10 s, and that is not to be forgiven to the next version.
	Patience time.Duration
}

// before is what is kept of the time before an update, over the start of the new version.
type before struct {
	Baseline Baseline `json:"baseline"`
	Failed   []string `json:"failed,omitempty"` // the names of checks
}

// Look says how the box is before an update: for Check, and for a file.
func (g *Gate) Look(ctx context.Context) json.RawMessage {
	patience := g.Patience
	if patience == 0 {
		patience = 15 * time.Second
	}
	for deadline := time.Now().Add(patience); ; {
		b := g.now(ctx)
		if len(b.Failed) == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return b.encode()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (g *Gate) now(ctx context.Context) before {
	t := g.Tree
	t.mu.Lock()
	defer t.mu.Unlock()
	report, l := t.look(ctx)
	b := before{Baseline: l.next(false)}
	for i := range Checks { // What comes behind them costs nothing.
		if report.Checks[i].State == Failed {
			b.Failed = append(b.Failed, report.Checks[i].Name)
		}
	}
	return b
}

// Known is what was while all was well, and forgives nothing: for who does not want to be measured by how the box is now.
func (g *Gate) Known() json.RawMessage {
	g.Tree.mu.Lock()
	defer g.Tree.mu.Unlock()
	return before{Baseline: *g.Tree.baseline()}.encode()
}

func (b before) encode() json.RawMessage {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // Numbers, which are finite, and text.
	}
	return text
}

// Check looks once, and says what is wrong that was not before, or nil. It takes at most Timeout. From then on the tree
// itself compares with that time as well. What was cannot be read: it is nothing.
func (g *Gate) Check(ctx context.Context, was json.RawMessage) error {
	var b before
	if json.Unmarshal(was, &b) != nil {
		b = before{}
	}
	t := g.Tree
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before = &b.Baseline
	report, l := t.look(ctx)
	report.Checks = slices.DeleteFunc(report.Checks, func(c Check) bool { return slices.Contains(b.Failed, c.Name) })
	if report.judge(); report.Healthy {
		return nil
	}
	return &unhealthy{report.Failed(), l.looping && !slices.Contains(b.Failed, accelerator)}
}

// unhealthy is a box that is not.
type unhealthy struct {
	text     string
	hopeless bool
}

func (u *unhealthy) Error() string { return u.text }

// Hopeless reports whether no further look will take it back within minutes.
func (u *unhealthy) Hopeless() bool { return u.hopeless }
