package accesslog

// Format is the form of a line.
type Format uint8

// The formats, in the order of the table Formats.
const (
	Off Format = iota
	Common
	Combined
	JSON
)

// FormatInfo is a row of the table of formats.
type FormatInfo struct {
	Name string // as in the configuration
	Text string // one line for a person

	append func(*formatter, []byte, *Record) []byte // nil: no lines
}

// Formats describes each Format; it is indexed by Format and must not be changed.
var Formats = [...]FormatInfo{
	Off:      {"off", "no log", nil},
	Common:   {"common", "Common Log Format: `remote - - [time] \"method target protocol\" status bytes`", (*formatter).common},
	Combined: {"combined", "the same, then `\"referer\" \"user agent\"`", (*formatter).combined},
	JSON:     {"json", "an object with the fields below", (*formatter).json},
}

// String returns the name of the format.
func (f Format) String() string { return Formats[f].Name }

// Field is a row of the table of fields.
type Field struct {
	Name string // the name in JSON
	Text string // one line for a person
	CLF  string // how it stands in common and combined
}

// Fields describes what a line has, in the order of the JSON object; those behind
// the user agent are for requests that were forwarded, and left out if not known.
// It must not be changed.
var Fields = [...]Field{
	{"time", "when the answer was complete; UTC", "`[25/Nov/2026:12:56:57 +0000]`"},
	{"remote", "address of the client", "as it is"},
	{"method", "as sent; at most 32 bytes", "in the request line"},
	{"target", "as sent, with its query; at most 4 KiB", "in the request line"},
	{"protocol", "`HTTP/1.1`, for example", "in the request line; `\"-\"` for a request that was refused unread"},
	{"host", "the Host field; at most 256 bytes", "not in it"},
	{"status", "status of the answer; 499: the connection ended before there was one", "as it is"},
	{"bytes", "body bytes of the answer", "`-` for none"},
	{"duration", "seconds from the head of the request to the end of the answer", "not in it"},
	{"referer", "the Referer field; at most 1 KiB", "`\"-\"` for none"},
	{"user_agent", "the User-Agent field; at most 1 KiB", "`\"-\"` for none"},
	{"backend", "of a forwarded request: who answered, or was the last to fail, as the metrics name it; left out: nobody was asked", "not in it"},
	{"connect", "seconds to connect to the backend, TLS included; left out: the connection was kept from a request before, or none was made", "not in it"},
	{"first_byte", "seconds from the choice of the backend to the head of its answer; left out: there was none", "not in it"},
	{"backend_duration", "seconds from the choice of the backend to the end of its answer, or to its failure", "not in it"},
	{"retries", "how often the request was sent once more, to the same backend or to another; left out without a backend", "not in it"},
	{"event", "what went wrong with a forwarded request, as `ramjet_forward_events_total` names it; left out: nothing", "not in it"},
}

// StatusGone is logged for a request whose connection ended before there was an
// answer, as nginx does.
const StatusGone = 499

// formatter appends lines. It keeps what is the same in many of them.
type formatter struct {
	stamp stamp
}
