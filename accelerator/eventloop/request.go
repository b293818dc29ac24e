package eventloop

import (
	"encoding/binary"
	"math/bits"
)

// A request is a head as far as the loop understands it. Its slices point into
// the bytes that were parsed.
type request struct {
	method    method
	minor     byte // of the version, HTTP/1.minor
	close     bool // the connection ends with the answer
	switches  bool // Connection says upgrade
	keepAlive bool // the client asked for it to go on
	escaped   bool // the path has %-escapes
	hasQuery  bool

	target []byte // as received
	path   []byte // of target, without the query

	host            []byte
	cookie          []byte
	upgrade         []byte // nil: no wish for another protocol
	acceptEncoding  []byte
	ifNoneMatch     []byte
	ifModifiedSince []byte
	referer         []byte // for the log
	userAgent       []byte // for the log

	// odd says why a static file is not the whole answer, none if it is; rare says
	// why the request cannot be relayed.
	odd, rare Reason
	length    int64 // Content-Length, -1: there is none

	// What it says of who asks, and what is only believed of a proxy that is trusted.
	forwardedFor, forwardedHost, forwardedProto, forwarded []byte

	repeats bool // one of these, or Cookie, is there twice

	fields  int           // where the first field line begins
	cuts    [maxCuts]span // field lines that are not passed on, in their order
	numCuts int

	blank int // bytes of empty lines before it
	size  int // bytes of all of it, the empty line at its end included
}

// span is a part of the bytes that were parsed.
type span struct{ from, to int }

// maxCuts bounds the field lines that are not passed on.
const maxCuts = 12

// method is a method that the loop knows.
type method uint8

const (
	get method = iota
	head
	post
	put
	patch
	del
	options
)

// methods are the names as they begin a request line.
var methods = [...]string{get: "GET ", head: "HEAD ", post: "POST ", put: "PUT ", patch: "PATCH ", del: "DELETE ", options: "OPTIONS "}

// name is the method's name.
func (m method) name() string { return methods[m][:len(methods[m])-1] }

// static tells whether a file can be the answer.
func (m method) static() bool { return m <= head }

// hasBody tells whether a request is expected to have a body, be it empty.
func (m method) hasBody() bool { return m == post || m == put || m == patch }

// idempotent is as of RFC 9110 §9.2.2.
func (m method) idempotent() bool { return m != post && m != patch }

// A verdict is the parser's answer: complete, needMore, or not ours, whatever
// the reason.
type verdict uint8

const (
	complete verdict = iota
	needMore
	notMine
)

// maxFields is far above what browsers send, and below the complete tier's limit.
const maxFields = 64

// parse reads one head from the beginning of b (RFC 9112 §2 to §5). It accepts
// only what no reading of the RFC could read differently; all else is not ours,
// and found to be so as early as possible. It keeps no state: a head that came
// in part is parsed from its beginning again.
func (r *request) parse(b []byte) (verdict, Reason) {
	*r = request{length: -1}
	for r.blank < maxBlank && begins(b[r.blank:], "\r\n") {
		r.blank += len("\r\n")
	}
	at, v, why := r.requestLine(b, r.blank)
	if v != complete {
		return v, why
	}
	r.fields = at
	for fields := 0; ; fields++ {
		if len(b)-at < 2 {
			return needMore, none
		}
		if b[at] == '\r' {
			if b[at+1] != '\n' {
				return notMine, FieldLine
			}
			break
		}
		if fields == maxFields {
			return notMine, HeadSize
		}
		name, value, next, v := fieldLine(b, at)
		if v != complete {
			return v, FieldLine
		}
		if why := r.field(name, value, span{at, next}); why != none {
			return notMine, why
		}
		at = next
	}
	if r.host == nil && r.minor == 1 || r.host != nil && !plainHost(r.host) {
		return notMine, Host
	}
	if r.minor == 0 && !r.keepAlive {
		r.close = true
	}
	if r.minor == 0 {
		r.rare = Version
	}
	if r.upgrade != nil || r.switches {
		r.wish()
	}
	r.size = at + len("\r\n")
	return complete, none
}

// The two versions that are ours, with what ends the line.
const (
	http11 = " HTTP/1.1\r\n"
	http10 = " HTTP/1.0\r\n"
)

// maxBlank is the two empty lines before a request that are skipped (RFC 9112 §2.2).
const maxBlank = len("\r\n\r\n")

// requestLine reads method, target and version at b[at] (RFC 9112 §3), and
// returns where the next line begins.
func (r *request) requestLine(b []byte, at int) (next int, v verdict, why Reason) {
	switch line := b[at:]; {
	case begins(line, "GET "):
		at += len("GET ")
	case begins(line, "HEAD "):
		at, r.method = at+len("HEAD "), head
	case at < maxBlank && mayBegin(line, "\r\n"):
		return 0, needMore, none
	default:
		var v verdict
		if r.method, v = methodOf(line); v != complete {
			return 0, v, Method
		}
		at, r.odd = at+len(methods[r.method]), Method
	}
	start, end := at, -1
	for ; at < len(b); at++ {
		c := class[b[at]]
		if c&targetByte != 0 {
			continue
		}
		if b[at] == '?' && end < 0 {
			end, r.hasQuery = at, true
		} else if b[at] == '%' {
			r.escaped = r.escaped || end < 0
		} else if b[at] != '?' {
			break
		}
	}
	if at > start && b[start] != '/' {
		return 0, notMine, TargetForm
	}
	if at == len(b) {
		return 0, needMore, none
	}
	if at == start || b[at] != ' ' {
		return 0, notMine, RequestLine
	}
	if end < 0 {
		end = at
	}
	r.target, r.path = b[start:at], b[start:end]
	switch rest := b[at:]; {
	case begins(rest, http11):
		r.minor = 1
	case begins(rest, http10):
	case mayBegin(rest, http11), mayBegin(rest, http10):
		return 0, needMore, none
	case len(rest) >= len(http11) && !begins(rest[len(" HTTP/1.1"):], "\r\n"):
		return 0, notMine, RequestLine
	default:
		return 0, notMine, Version
	}
	return at + len(http11), complete, none
}

// methodOf returns the method that begins a request line.
func methodOf(line []byte) (method, verdict) {
	for m, name := range methods {
		if begins(line, name) {
			return method(m), complete
		}
		if mayBegin(line, name) {
			return 0, needMore
		}
	}
	return 0, notMine
}

// fieldLine reads name and value of the field line at b[at] (RFC 9112 §5), the
// value without the white space around it, and returns where the next begins.
func fieldLine(b []byte, at int) (name, value []byte, next int, v verdict) {
	start := at
	for at < len(b) && class[b[at]]&tokenByte != 0 {
		at++
	}
	if at == len(b) {
		return nil, nil, 0, needMore
	}
	if at == start || b[at] != ':' {
		return nil, nil, 0, notMine
	}
	name = b[start:at]
	at++
	for at < len(b) && (b[at] == ' ' || b[at] == '\t') {
		at++
	}
	start = at
	for {
		at += plain(b[at:])
		if at == len(b) {
			return nil, nil, 0, needMore
		}
		if b[at] != '\t' {
			break
		}
		at++
	}
	if b[at] != '\r' {
		return nil, nil, 0, notMine
	}
	if at+1 == len(b) {
		return nil, nil, 0, needMore
	}
	if b[at+1] != '\n' {
		return nil, nil, 0, notMine
	}
	end := at
	for end > start && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	return name, b[start:end], at + 2, complete
}

// plain returns how many bytes at the beginning of b are no control characters,
// eight at a time.
func plain(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		below := (w - ones*' ') &^ w // The high bit of the lowest byte below a space, and perhaps of some behind it.
		del := w ^ ones*0x7f
		del = (del - ones) &^ del
		if found := (below | del) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != 0x7f {
		i++
	}
	return i
}

// plainHost accepts a name or an IPv4 address with an optional port: not all
// that RFC 9112 §3.2 allows, but nearly all that there is.
func plainHost(b []byte) bool {
	i := 0
	for i < len(b) && class[b[i]]&hostByte != 0 {
		i++
	}
	if i == 0 {
		return false
	}
	if i == len(b) {
		return true
	}
	port := b[i+1:]
	if b[i] != ':' || len(port) > 4 { // 5 digits may be too many; the complete tier counts.
		return b[i] == ':' && len(port) == 5 && digits(port) && string(port) <= "65535"
	}
	return digits(port)
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// is compares a name with one in lower case, whatever the case of its letters.
func is(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range name {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func begins(b []byte, with string) bool { return len(b) >= len(with) && string(b[:len(with)]) == with }

// mayBegin tells whether b is the beginning of with, and too short to tell.
func mayBegin(b []byte, with string) bool { return len(b) < len(with) && string(b) == with[:len(b)] }

// Classes of bytes, RFC 9110 §5.6.2 and RFC 3986.
const (
	tokenByte  = 1 << iota // of a field name
	targetByte             // of a target, and nothing to look at closer
	hostByte               // of a plain host
)

// class is a constant table.
var class = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		if '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z' {
			t[c] |= tokenByte | hostByte
		}
		if b > ' ' && b != 0x7f && b != '?' && b != '%' {
			t[c] |= targetByte
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= tokenByte
	}
	for _, c := range []byte("-._") {
		t[c] |= hostByte
	}
	return t
}()
