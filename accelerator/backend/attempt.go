package backend

import (
	"errors"
	"time"
)

// An Attempt is a request that a backend has failed already, before a byte of its
// answer was sent to the client. Whoever made it passes it on to somebody who tries
// the next backend, or says what is wrong.
type Attempt struct {
	Backend *Backend // it is over there: released
	// Connected tells whether the request may have reached the backend.
	Connected bool
	// Began is when the backend was chosen.
	Began time.Time
	// Connect is the time that it took to make the connection; 0: it was kept from a
	// request before, or there was none.
	Connect time.Duration
	// Lost tells whether some of the request's body was sent and is not to be had again:
	// what can still be read of it is not its beginning.
	Lost bool
	// Retries is how often the request was sent to it once more.
	Retries int
	// Err is what it ended in.
	Err error
}

// What an attempt may end in besides the errors of connect(2).
var (
	ErrConnect       = error(timeout("the backend did not accept a connection in time"))
	ErrNoAnswer      = errors.New("the backend closed the connection before its answer")
	ErrBadAnswer     = errors.New("the head of the backend's answer is malformed, or too large")
	ErrFirstByte     = error(timeout("the backend did not begin its answer in time"))
	ErrNotRead       = errors.New("the backend did not read the request in time")
	ErrClientStalled = errors.New("the client stopped sending inside the request's body")
)

// timeout is an error that says so, as a net.Error.
type timeout string

func (t timeout) Error() string { return string(t) }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
