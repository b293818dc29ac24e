package backend

import "sync/atomic"

// budget bounds the requests that are sent again: a share of all, so that a farm
// in trouble does not get a multiple of its load on top. Each request pays in,
// each repetition takes out; what was not needed is saved up to a bound. In
// thousandths of a repetition.
type budget struct {
	saved  atomic.Int64
	income int64
}

// What is there at the start, and the most that is saved: enough for all that
// are in flight at a backend when it dies.
const (
	startBudget = 10 * 1000
	maxBudget   = 200 * 1000
)

func (b *budget) pay() {
	if b.saved.Load() < maxBudget {
		b.saved.Add(b.income)
	}
}

func (b *budget) take() bool {
	if b.saved.Add(-1000) >= 0 {
		return true
	}
	b.saved.Add(1000)
	return false
}

// Retry reports whether one more request may be sent again, and counts it.
func (p *Pool) Retry() bool { return p.budget.take() }
