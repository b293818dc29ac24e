package http1

import (
	"math"
	"sync/atomic"
	"time"
)

// Limits bound what one listener lets clients take. Zero means the default, a
// negative value no limit, unless a field says otherwise.
type Limits struct {
	// HeadBytes bounds request line and header section together; above it the
	// answer is 431. Default 32 KiB. There is always a limit.
	HeadBytes int

	// HeadFields bounds the number of field lines of a head; above it the
	// answer is 431. Default 128.
	HeadFields int

	// HeadTime bounds the time from the first byte of a head, for the first
	// request from the opening of the connection, to its last. Default 20 s.
	HeadTime time.Duration

	// IdleTime bounds the time between an answer and the next request. Default 60 s.
	IdleTime time.Duration

	// BodyStall bounds the time between two bytes of a request body while
	// somebody waits for them. A slow body may go on. Default 30 s.
	BodyStall time.Duration

	// WriteStall bounds the time for which a client may acknowledge no byte of
	// an answer (or of a tunnel) while there is more to send. A slow reader may
	// go on. It is dropped between one and one and a half times this value. Default 30 s.
	WriteStall time.Duration
}

// withDefaults returns l with every default filled in and "no limit" as zero
// durations and large numbers.
func (l Limits) withDefaults() Limits {
	number := func(p *int, byDefault int) {
		if *p == 0 {
			*p = byDefault
		} else if *p < 0 {
			*p = math.MaxInt32
		}
	}
	span := func(p *time.Duration, byDefault time.Duration) {
		if *p == 0 {
			*p = byDefault
		} else if *p < 0 {
			*p = 0
		}
	}
	if l.HeadBytes < 0 {
		l.HeadBytes = 0
	}
	number(&l.HeadBytes, 32<<10)
	number(&l.HeadFields, 128)
	span(&l.HeadTime, 20*time.Second)
	span(&l.IdleTime, 60*time.Second)
	span(&l.BodyStall, 30*time.Second)
	span(&l.WriteStall, 30*time.Second)
	return l
}

// Stats counts what a listener saw. All fields may be read at any time.
type Stats struct {
	Accepted     atomic.Uint64             // connections accepted
	Crowded      atomic.Uint64             // connections closed at once: too many from their address
	HTTP2        atomic.Uint64             // connections that turned out to be HTTP/2
	AcceptErrors atomic.Uint64             // failed attempts to accept, each tried again
	Refused      [NumReasons]atomic.Uint64 // connections refused or cut, by Reason
}
