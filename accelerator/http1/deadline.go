package http1

import (
	"sync"
	"time"
)

// A deadline is one direction's deadline of a connection: the earlier of what
// the user of the connection set and of what the stall rule of this package
// set. Both may change while a read or write waits.
type deadline struct {
	set func(time.Time) error // the deadline of the socket; immutable

	mu     sync.Mutex // guards what follows
	user   time.Time
	stall  time.Time
	socket time.Time // as last set
}

// setUser sets the deadline that the user of the connection wishes.
func (d *deadline) setUser(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.user = t
	return d.apply()
}

// arm starts the stall rule before a read or write: it may wait for at least
// the time given, and for at most half as much again, so that a busy
// connection does not set a timer each time. Zero takes the rule off.
func (d *deadline) arm(stall time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stall <= 0 {
		d.stall = time.Time{}
	} else if now := time.Now(); d.stall.Sub(now) < stall {
		d.stall = now.Add(stall + stall/2)
	}
	return d.apply()
}

// userPassed reports whether the user's own deadline has passed.
func (d *deadline) userPassed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.user.IsZero() && !time.Now().Before(d.user)
}

// apply sets the deadline of the socket where it changes. The caller holds mu.
func (d *deadline) apply() error {
	t := d.user
	if !d.stall.IsZero() && (t.IsZero() || d.stall.Before(t)) {
		t = d.stall
	}
	if t.Equal(d.socket) {
		return nil
	}
	d.socket = t
	return d.set(t)
}
