package accesslog

import (
	"net/netip"
	"time"
)

// Record is what is known of a request when it is complete. The log copies what
// it needs; the caller may use the memory again at once.
type Record struct {
	// Time is when the request was complete, in nanoseconds since 1970.
	Time int64
	// Duration is the time from the head of the request to its completion.
	Duration time.Duration
	// Remote is the client's address. A zone is not logged; the zero Addr is
	// logged as unknown.
	Remote netip.Addr
	// Status is the status of the answer, 100 to 999.
	Status int
	// Bytes is the number of body bytes sent.
	Bytes int64

	// Each of these is cut to its bound, in bytes, and may hold any byte. Empty
	// means that the request had none; Method is empty if the request line could
	// not be read.
	Method    []byte // at most MaxMethod
	Target    []byte // as in the request line; at most MaxTarget
	Protocol  []byte // such as HTTP/1.1; at most MaxProtocol
	Host      []byte // the Host field; at most MaxHost
	Referer   []byte // at most MaxField
	UserAgent []byte // at most MaxField

	Forward Forward

	plain bool // no text has a byte that is escaped; set by getEntry
}

// Forward is what became of a request that was passed on to the farm. The zero value
// is that of a request that was not. A time that is not known is 0, and one that is
// known is not.
type Forward struct {
	// Backend is who answered, or was the last to fail; empty: nobody was asked. At
	// most MaxBackend bytes.
	Backend []byte
	// Connect is the time that it took to make the connection that was used last, TLS
	// included. Not known: it was kept from a request before, or there was none.
	Connect time.Duration
	// FirstByte and Duration are the times from when Backend was chosen to the
	// head of its answer, and to the end of it, or to its failure.
	FirstByte, Duration time.Duration
	// Retries is how often the request was sent once more, to the same backend or to
	// another one.
	Retries int
	// Event is what went wrong, as the metrics name it; empty: nothing. At most
	// MaxEvent bytes.
	Event []byte
}

// The bounds of the texts of a Record, in bytes: a client decides how long they
// are, and must not decide how fast the log fills.
const (
	MaxMethod   = 32
	MaxTarget   = 4096
	MaxProtocol = 16
	MaxHost     = 256
	MaxField    = 1024
	MaxBackend  = 256
	MaxEvent    = 32
)

// cut returns at most limit bytes of b.
func cut(b []byte, limit int) []byte {
	if len(b) > limit {
		return b[:limit]
	}
	return b
}
