package eventloop

// A Reason says why the loop did not answer a request but handed its connection
// to the complete tier. None of them is an error: that tier answers, 400s
// included.
type Reason uint8

// The reasons, in the order of the table Reasons.
const (
	none Reason = iota
	Method
	RequestLine
	Version
	TargetForm
	BadEscape
	HeadSize
	Truncated
	FieldLine
	Host
	RepeatedField
	Connection
	Body
	Expect
	Upgrade
	Range
	Precondition
	NotStatic
	NotAcceptable
	NotOpen
	Unreadable
	Via
	Special
	Busy
	Failed
	ProxyHeader

	// NumReasons is the number of rows of Reasons.
	NumReasons
)

// Reasons describes each Reason; it is indexed by Reason and must not be
// changed. Name is the metric label, Text one line for a person.
var Reasons = [NumReasons]struct{ Name, Text string }{
	none:          {"none", "answered by the loop"},
	Method:        {"method", "the method is none of the usual ones, or not GET or HEAD and there is no farm"},
	RequestLine:   {"request_line", "the request line is not method, target and version with one space between"},
	Version:       {"version", "the version is neither HTTP/1.1 nor HTTP/1.0, or it is 1.0 and the request for the farm"},
	TargetForm:    {"target_form", "the target is not a path: a whole URL, or *"},
	BadEscape:     {"bad_escape", "the path has a %-escape that no file name can have"},
	HeadSize:      {"head_size", "the head is larger than the loop's buffer or has very many fields, or the answer's would be"},
	Truncated:     {"truncated", "the client said that it has said all, in the middle of a head"},
	FieldLine:     {"field_line", "a field line is malformed"},
	Host:          {"host", "Host is missing, or not a plain name or IPv4 address with an optional port"},
	RepeatedField: {"repeated_field", "a field that decides about the answer is there twice"},
	Connection:    {"connection", "Connection says more than close or keep-alive"},
	Body:          {"body", "the request for a file has a body, or that for the farm one of unknown length or larger than it may be"},
	Expect:        {"expect", "Expect wants an answer of its own"},
	Upgrade:       {"upgrade", "the client wishes another protocol"},
	Range:         {"range", "a part of the file is wanted"},
	Precondition:  {"precondition", "If-Match, If-Unmodified-Since, or a validator in an unusual form"},
	NotStatic:     {"not_static", "a rule fails, or there is no such file, and there is no farm: 404 and the like"},
	NotAcceptable: {"not_acceptable", "no representation is acceptable"},
	NotOpen:       {"not_open", "the file is neither in memory nor kept open"},
	Unreadable:    {"unreadable", "the file changed since it was loaded, or cannot be read"},
	Via:           {"via", "a proxy has forwarded it already: it might be a loop"},
	Special:       {"special", "for the farm, but in a way that the complete tier sees to: https, a route that changes something, and the like"},
	Busy:          {"busy", "for the farm, which has no room at once: it has to wait, or all backends are drained"},
	Failed:        {"failed", "a backend failed it before its answer began: for another one, or 502"},
	ProxyHeader:   {"proxy_header", "the connection is a proxy's, and begins with a header that names the client"},
}

// String returns the metric label.
func (r Reason) String() string {
	if r < NumReasons {
		return Reasons[r].Name
	}
	return "unknown"
}
