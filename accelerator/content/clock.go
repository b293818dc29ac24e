package content

import "time"

// epoch is a moment that has certainly passed. A machine without a real-time
// clock starts in 1970 and has no idea of the time until NTP answers.
var epoch = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// ClockPlausible tells whether now can be the time of day. Until it is, nothing
// that depends on it may be sent: no Date (RFC 9110 §6.6.1: an origin server
// without a clock must not generate one), no clamped Last-Modified.
func ClockPlausible(now time.Time) bool { return !now.Before(epoch) }

// oldestModTime bounds modification times that are believed. A file stamped
// before it was written by a machine that did not know the time.
var oldestModTime = time.Date(1990, time.January, 1, 0, 0, 0, 0, time.UTC)

// lastModified returns the time to send as Last-Modified for a file modified at
// mtime, in whole seconds, or the zero time for none. It is never in the future
// (RFC 9110 §8.8.2.1), and while the clock is unknown only what lies before
// epoch is known not to be.
func lastModified(mtime, now time.Time) time.Time {
	if mtime.Before(oldestModTime) {
		return time.Time{}
	}
	if !ClockPlausible(now) {
		now = mtime // Nothing to compare with; the file's own time is the best guess there is.
	}
	if mtime.After(now) {
		mtime = now
	}
	return mtime.UTC().Truncate(time.Second)
}
