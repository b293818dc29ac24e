package http1

import "strconv"

// Reason says why a connection was refused or cut. The zero Reason means that
// nothing is wrong.
type Reason uint8

// The reasons, in the order of the table Reasons.
const (
	None Reason = iota
	BadRequestLine
	BadVersion
	BareCR
	BareLF
	ControlByte
	BadFieldName
	SpaceBeforeColon
	FoldedLine
	HostMissing
	HostRepeated
	HostMalformed
	LengthMalformed
	LengthRepeated
	LengthAndCoding
	CodingInOldVersion
	CodingMalformed
	CodingUnknown
	ConnectWithBody
	HeadTooLarge
	TooManyFields
	BadChunk
	BadTrailer
	BodyStalled
	WriteStalled
	BadProxyHeader

	// NumReasons is the number of rows of Reasons.
	NumReasons
)

// ending is how a connection ends that was refused.
type ending uint8

const (
	endsByError ending = iota // reads fail: net/http ends the body and the connection
	ends400                   // a malformed line replaces what follows: net/http answers 400 in its turn
	ends431                   // filler replaces what follows, up to the head limit of net/http: it answers 431
	endsBody                  // filler breaks the chunked framing for net/http as well: reading the body fails, the handler answers
	endsAlone                 // the head goes through as it is: net/http refuses it by itself
)

// ReasonInfo is a row of the table of reasons: metric label, documentation and
// behaviour come from here.
type ReasonInfo struct {
	// Name is the metric label.
	Name string
	// Text is one line for a person.
	Text string
	// Section is the rule that was broken, where there is one.
	Section string
	// Answer is what the client gets: a status code, or "none".
	Answer string

	ends ending
}

// unheard reports whether net/http answers without calling a handler: all that is
// wrong with a head. A wrong body has a handler by then.
func (i *ReasonInfo) unheard() bool {
	return i.ends == ends400 || i.ends == ends431 || i.ends == endsAlone
}

// Reasons describes each Reason; it is indexed by Reason and must not be changed.
var Reasons = [NumReasons]ReasonInfo{
	None:               {"none", "nothing is wrong", "", "", endsByError},
	BadRequestLine:     {"request_line", "the request line is not method, one space, target, one space, version; or a target of * without OPTIONS", "RFC 9112 §3", "400", ends400},
	BadVersion:         {"version", "the major version of the protocol is not 1", "RFC 9110 §15.6.6", "505", endsAlone},
	BareCR:             {"bare_cr", "a carriage return without a line feed", "RFC 9112 §2.2", "400", ends400},
	BareLF:             {"bare_lf", "a line that ends without a carriage return", "RFC 9112 §2.2", "400", ends400},
	ControlByte:        {"control_byte", "a control character in a field value", "RFC 9110 §5.5", "400", ends400},
	BadFieldName:       {"field_name", "a field line without a well-formed name and a colon", "RFC 9112 §5", "400", ends400},
	SpaceBeforeColon:   {"space_before_colon", "white space between field name and colon", "RFC 9112 §5.1", "400", ends400},
	FoldedLine:         {"folded_line", "a field line that starts with white space", "RFC 9112 §5.2, §2.2", "400", ends400},
	HostMissing:        {"host_missing", "an HTTP/1.1 request without Host", "RFC 9112 §3.2", "400", ends400},
	HostRepeated:       {"host_repeated", "more than one Host", "RFC 9112 §3.2", "400", ends400},
	HostMalformed:      {"host_malformed", "a Host that is not a host and an optional port", "RFC 9112 §3.2", "400", ends400},
	LengthMalformed:    {"length_malformed", "a Content-Length that is not one decimal number below 2^63", "RFC 9112 §6.3", "400", ends400},
	LengthRepeated:     {"length_repeated", "more than one Content-Length", "RFC 9112 §6.3", "400", ends400},
	LengthAndCoding:    {"length_and_coding", "both Content-Length and Transfer-Encoding", "RFC 9112 §6.1", "400", ends400},
	CodingInOldVersion: {"coding_in_old_version", "Transfer-Encoding in HTTP/1.0", "RFC 9112 §6.1", "400", ends400},
	CodingMalformed:    {"coding_malformed", "a Transfer-Encoding that does not end in exactly one chunked", "RFC 9112 §6.3", "400", ends400},
	CodingUnknown:      {"coding_unknown", "a transfer coding before chunked", "RFC 9112 §6.1", "501", endsAlone},
	ConnectWithBody:    {"connect_with_body", "a CONNECT with Content-Length or Transfer-Encoding", "RFC 9110 §9.3.6", "400", ends400},
	HeadTooLarge:       {"head_too_large", "a head above the size limit", "RFC 6585 §5", "431", ends431},
	TooManyFields:      {"too_many_fields", "a head with more field lines than the limit", "RFC 6585 §5", "431", ends431},
	BadChunk:           {"chunk", "malformed chunked framing; the answer may be on its way already", "RFC 9112 §7.1", "400", endsBody},
	BadTrailer:         {"trailer", "a trailer section that is malformed, too long or has framing fields", "RFC 9112 §7.1.2", "400", endsBody},
	BodyStalled:        {"body_stalled", "no byte of a request body for too long", "", "none", endsByError},
	WriteStalled:       {"write_stalled", "the client took no byte of the answer for too long", "", "none", endsByError},
	BadProxyHeader:     {"proxy_header", "a proxy's connection began without a well-formed header of the PROXY protocol, or it did not come in time", "", "none", endsByError},
}

// String returns the metric label.
func (r Reason) String() string {
	if r < NumReasons {
		return Reasons[r].Name
	}
	return "unknown"
}

// Status returns the status of the answer, 0 for none.
func (r Reason) Status() int {
	status, _ := strconv.Atoi(Reasons[r].Answer)
	return status
}

// Error makes a Reason the error that reads and writes of a refused connection return.
func (r Reason) Error() string {
	if r < NumReasons {
		return "http1: " + Reasons[r].Text
	}
	return "http1: unknown reason"
}
