package backend

import (
	"sync/atomic"
	"time"
)

// Ejection says when a backend is left out because of its failures with real
// requests: passive health checking, as Envoy's outlier detection.
type Ejection struct {
	Failures int           // so many in a row; 0 never ejects
	Time     time.Duration // how long the first time; n times as long the nth time in succession, at most 10
	Most     int           // percent of the pool's backends that may be out at once; the only one never is
}

// maxStreak bounds how long an ejection gets.
const maxStreak = 10

// record is what a backend's requests say of it. Times are in nanoseconds since 1970.
type record struct {
	failed atomic.Int32 // in a row
	until  atomic.Int64 // ejected until then; 0: never was
	streak atomic.Int32 // ejections in succession; written under Pool.mu
}

func (r *record) out(now int64) bool { return now < r.until.Load() }

// Ejected returns when the backend will get requests again, if it is left out
// now because of its failures.
func (b *Backend) Ejected(now time.Time) (until time.Time, is bool) {
	n := b.record.until.Load()
	return time.Unix(0, n), now.UnixNano() < n
}

// Served notes that a backend served a request well.
func (b *Backend) Served() {
	if b.record.failed.Load() != 0 {
		b.record.failed.Store(0)
	}
}

// Failed notes that a backend of p failed a request, and reports whether it is
// ejected for that.
func (p *Pool) Failed(b *Backend) bool {
	e := &p.settings.Ejection
	if e.Failures == 0 || int(b.record.failed.Add(1)) < e.Failures {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.settings.Now().UnixNano()
	r := &b.record
	if r.out(now) {
		return false // By requests that were begun before.
	}
	out, members := 1, p.roster.Load().members
	for _, m := range members {
		if m.record.out(now) {
			out++
		}
	}
	if out*100 > e.Most*len(members) || len(members) == 1 {
		return false
	}
	if last := r.until.Load(); now-last > maxStreak*int64(e.Time) {
		r.streak.Store(0)
	}
	streak := min(r.streak.Add(1), maxStreak)
	r.until.Store(now + int64(streak)*int64(e.Time))
	r.failed.Store(0)
	b.Ejections.Add(1)
	return true
}
