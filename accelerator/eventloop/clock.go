package eventloop

import (
	"time"

	"ramjet/accelerator/content"
)

// A clock is a loop's time. It is read once for each batch of events, and the
// Date line is formatted once a second.
type clock struct {
	base time.Time // when the loop began
	now  int64     // nanoseconds since base, monotonic
	wall int64     // nanoseconds since 1970

	second int64  // the next second, as now
	date   []byte // the line "Date: …", empty as long as nobody knows the time (RFC 9110 §6.6.1)
}

func newClock() *clock {
	c := &clock{base: time.Now(), date: make([]byte, 0, 64)}
	c.tick()
	return c
}

// unix returns now as nanoseconds since 1970.
func (c *clock) unix() int64 {
	next := c.wall - c.wall%int64(time.Second) + int64(time.Second) // The wall time at second.
	return next - (c.second - c.now)
}

// tick reads the time.
func (c *clock) tick() {
	c.now = int64(time.Since(c.base))
	if c.now >= c.second {
		c.newSecond()
	}
}

func (c *clock) newSecond() {
	now := time.Now()
	c.wall = now.UnixNano()
	c.now = int64(now.Sub(c.base))
	c.second = c.now + int64(time.Second) - c.wall%int64(time.Second)
	if c.date = c.date[:0]; content.ClockPlausible(now) {
		c.date = now.UTC().AppendFormat(c.date, "Date: "+content.HTTPTime+"\r\n")
	}
}
