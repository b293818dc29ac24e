package eventloop

import "bytes"

// What the fields of a request mean: for the answer to it, for what is passed on
// of it, or that it is not ours.

// field takes note of a field that means something for the answer or for what is
// passed on, or says why the request is not ours. No two fields whose names are of
// the same length have anything to do with each other: the length chooses what to
// compare with.
func (r *request) field(name, value []byte, line span) Reason {
	var to *[]byte
	switch len(name) {
	case len("te"):
		if is(name, "te") {
			r.rare = Connection
		}
	case len("via"):
		if is(name, "via") {
			r.rare = Via
		}
	case len("host"):
		if is(name, "host") {
			if r.host != nil {
				return RepeatedField
			}
			r.host = value[:len(value):len(value)]
			return r.cut(line)
		}
	case len("range"):
		if is(name, "range") {
			r.odd = Range
		}
	case len("expect"):
		switch {
		case is(name, "expect"):
			r.odd, r.rare = Expect, Expect
		case is(name, "cookie"):
			r.once(&r.cookie, value)
		}
	case len("upgrade"):
		switch {
		case is(name, "upgrade"):
			r.odd = Upgrade
			if r.upgrade != nil {
				r.rare = Upgrade
			}
			r.upgrade = value[:len(value):len(value)]
			return r.cut(line)
		case is(name, "trailer"):
			r.rare = Connection
		case is(name, "referer") && r.referer == nil:
			r.referer = value
		}
	case len("if-match"):
		switch {
		case is(name, "if-match"):
			r.odd = Precondition
		case is(name, "if-range"):
			r.odd = Range
		}
	case len("forwarded"):
		if is(name, "forwarded") {
			r.once(&r.forwarded, value)
			return r.cut(line)
		}
	case len("connection"):
		switch {
		case is(name, "connection"):
			if why := r.options(value); why != none {
				r.odd, r.rare = why, why
			}
			return r.cut(line)
		case is(name, "keep-alive"):
			return r.cut(line)
		case is(name, "user-agent") && r.userAgent == nil:
			r.userAgent = value
		}
	case len("if-none-match"):
		if is(name, "if-none-match") {
			to = &r.ifNoneMatch
		}
	case len("content-length"):
		if is(name, "content-length") {
			r.odd = Body
			if r.length >= 0 {
				return Body
			}
			if r.length = length(value); r.length < 0 {
				return Body
			}
			return r.cut(line)
		}
		if double(name, "content-length") {
			return r.cut(line)
		}
	case len("accept-encoding"):
		switch {
		case is(name, "accept-encoding"):
			to = &r.acceptEncoding
		case is(name, "x-forwarded-for"):
			r.once(&r.forwardedFor, value)
			return r.cut(line)
		case double(name, "x-forwarded-for"):
			return r.cut(line)
		}
	case len("x-forwarded-host"):
		switch {
		case is(name, "x-forwarded-host"):
			r.once(&r.forwardedHost, value)
			return r.cut(line)
		case is(name, "proxy-connection"), double(name, "x-forwarded-host"):
			return r.cut(line)
		}
	case len("if-modified-since"):
		switch {
		case is(name, "transfer-encoding"):
			return Body
		case is(name, "if-modified-since"):
			to = &r.ifModifiedSince
		case is(name, "x-forwarded-proto"):
			r.once(&r.forwardedProto, value)
			return r.cut(line)
		case double(name, "x-forwarded-proto"), double(name, "transfer-encoding"):
			return r.cut(line)
		}
	case len("proxy-authenticate"):
		if is(name, "proxy-authenticate") {
			return r.cut(line)
		}
	case len("if-unmodified-since"):
		switch {
		case is(name, "if-unmodified-since"):
			r.odd = Precondition
		case is(name, "proxy-authorization"):
			return r.cut(line)
		}
	}
	if to == nil {
		return none
	}
	if *to != nil {
		r.odd = RepeatedField
		return none
	}
	*to = value[:len(value):len(value)] // Not nil, even if it is empty.
	return none
}

// wish decides about a wish for another protocol (RFC 9110 §7.8). It goes to the
// farm, but one for HTTP/2, which is not to be had so any more (RFC 9113 §3.1), is
// the complete tier's to pass over, as is one that is not well-formed.
func (r *request) wish() {
	if !r.switches || len(r.upgrade) == 0 || r.method != get || r.length > 0 || !isToken(r.upgrade) || is(r.upgrade, "h2c") {
		r.rare = Upgrade
	}
}

// isToken tells whether b is one protocol's name, without a list or a version.
func isToken(b []byte) bool {
	for _, c := range b {
		if class[c]&tokenByte == 0 {
			return false
		}
	}
	return len(b) > 0
}

// once takes the value of a field that is expected once.
func (r *request) once(to *[]byte, value []byte) {
	r.repeats = r.repeats || *to != nil
	*to = value[:len(value):len(value)]
}

// double tells whether a name is that of a field which only we write for a backend,
// but with _ for -: programs that take fields from their environment, as by CGI and
// WSGI, cannot tell the two apart. Both are of the same length.
func double(name []byte, of string) bool {
	other := false
	for i, c := range name {
		switch {
		case c == '_' && of[i] == '-':
			other = true
		case c|0x20 != of[i]|0x20:
			return false
		}
	}
	return other
}

// cut keeps a field line from being passed on.
func (r *request) cut(line span) Reason {
	if r.numCuts == maxCuts {
		return HeadSize
	}
	r.cuts[r.numCuts] = line
	r.numCuts++
	return none
}

// length is the value of a Content-Length: decimal digits, below 2^59; else -1.
func length(value []byte) int64 {
	if len(value) == 0 || len(value) > 17 || !digits(value) {
		return -1
	}
	n := int64(0)
	for _, c := range value {
		n = 10*n + int64(c-'0')
	}
	return n
}

// options reads the value of Connection (RFC 9110 §7.6.1).
func (r *request) options(value []byte) Reason {
	if r.close || r.keepAlive {
		return RepeatedField
	}
	for more := true; more; {
		var option []byte
		option, value, more = bytes.Cut(value, comma)
		switch option = bytes.Trim(option, " \t"); {
		case is(option, "close"):
			r.close = true
		case is(option, "keep-alive"):
			r.keepAlive = true
		case is(option, "upgrade"):
			r.switches, r.odd = true, Connection
		default:
			return Connection
		}
	}
	return none
}

var comma = []byte{','}
