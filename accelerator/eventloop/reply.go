package eventloop

import (
	"bytes"
	"slices"
)

// A reply is the head of a backend's answer as far as the loop understands it.
// Its slices point into the bytes that were parsed.
type reply struct {
	minor      byte // of the version, HTTP/1.minor
	status     int
	reason     []byte
	close      bool  // the backend ends the connection
	length     int64 // Content-Length, -1: none
	coded      bool  // Transfer-Encoding: chunked
	dated      bool  // it has a Date
	controlled bool  // it has a Cache-Control

	promised []byte   // length as the backend wrote it
	trailer  []byte   // the trailer fields that it announces
	upgrade  []byte   // the protocol that it changes to, nil if Connection does not say so
	named    [][]byte // what Connection names besides close and keep-alive
	lines    [][]byte // the field lines that are passed on, without their ends
	size     int      // bytes of all of it, the empty line at its end included
}

// maxReplyFields bounds the field lines of an answer.
const maxReplyFields = 256

// parse reads one head from the beginning of b (RFC 9112 §4, §5). Who writes
// answers is not as hostile as who writes requests, and may be old: lines may end
// without a carriage return. But what could be read in two ways is malformed, as
// notMine, and so is all that would be passed on and is not a field line.
func (r *reply) parse(b []byte) verdict {
	*r = reply{length: -1, named: r.named[:0], lines: r.lines[:0]}
	line, at := nextLine(b, 0)
	if at < 0 {
		return needMore
	}
	if !r.statusLine(line) {
		return notMine
	}
	keep := false
	for {
		start := at
		if line, at = nextLine(b, start); at < 0 {
			return needMore
		}
		if len(line) == 0 {
			break
		}
		if len(r.lines) == maxReplyFields {
			return notMine
		}
		name, value, ok := cutField(line)
		if !ok {
			return notMine
		}
		switch r.field(name, value, &keep) {
		case passes:
			r.lines = append(r.lines, line)
		case malformed:
			return notMine
		}
	}
	if len(r.named) > 0 {
		r.dropNamed()
	}
	if !slices.ContainsFunc(r.named, func(n []byte) bool { return is(n, "upgrade") }) {
		r.upgrade = nil
	}
	if r.minor == 0 && !keep {
		r.close = true
	}
	if r.coded && (r.length >= 0 || r.minor == 0) {
		return notMine // RFC 9112 §6.1: whoever reads it the other way sees another answer.
	}
	r.size = at
	return complete
}

// nextLine returns the line that begins at b[at], without its end, and where the
// next begins: -1 if it has no end yet.
func nextLine(b []byte, at int) (line []byte, next int) {
	n := bytes.IndexByte(b[at:], '\n')
	if n < 0 {
		return nil, -1
	}
	line, next = b[at:at+n], at+n+1
	if n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, next
}

// statusLine reads the first line (RFC 9112 §4).
func (r *reply) statusLine(b []byte) bool {
	const before = "HTTP/1.1 "
	if len(b) < len("HTTP/1.1 200") || string(b[:7]) != before[:7] || b[8] != ' ' || b[7] != '0' && b[7] != '1' {
		return false
	}
	r.minor = b[7] - '0'
	code := b[len(before):][:3]
	if !digits(code) || code[0] == '0' {
		return false
	}
	r.status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	if rest := b[len("HTTP/1.1 200"):]; len(rest) > 0 {
		if rest[0] != ' ' {
			return false
		}
		r.reason = rest[1:]
	}
	return noControls(r.reason)
}

// cutField reads name and value of a field line (RFC 9112 §5), the value without
// the white space around it.
func cutField(line []byte) (name, value []byte, ok bool) {
	at := 0
	for at < len(line) && class[line[at]]&tokenByte != 0 {
		at++
	}
	if at == 0 || at == len(line) || line[at] != ':' {
		return nil, nil, false
	}
	value = bytes.Trim(line[at+1:], " \t")
	return line[:at], value, noControls(value)
}

// noControls tells whether there is no control character in b but the tabulator.
func noControls(b []byte) bool {
	for {
		n := plain(b)
		if n == len(b) {
			return true
		}
		if b[n] != '\t' {
			return false
		}
		b = b[n+1:]
	}
}

// fate is what becomes of a field line.
type fate uint8

const (
	passes fate = iota
	stays       // it is about the backend's connection, or written anew
	malformed
)

// field takes note of a field.
func (r *reply) field(name, value []byte, keep *bool) fate {
	switch len(name) {
	case len("te"):
		if is(name, "te") {
			return stays
		}
	case len("date"):
		r.dated = r.dated || is(name, "date")
	case len("upgrade"):
		if is(name, "trailer") {
			if r.trailer != nil {
				return malformed
			}
			r.trailer = value
			return stays
		}
		if is(name, "upgrade") {
			r.upgrade = value
			return stays
		}
	case len("connection"):
		switch {
		case is(name, "connection"):
			return r.options(value, keep)
		case is(name, "keep-alive"):
			return stays
		}
	case len("cache-control"):
		r.controlled = r.controlled || len(value) > 0 && is(name, "cache-control")
	case len("content-length"):
		if !is(name, "content-length") {
			break
		}
		// Several of the same are one (RFC 9110 §8.6); 3 and 03 are not the same to everybody.
		if r.length >= 0 && !bytes.Equal(value, r.promised) {
			return malformed
		}
		r.promised = value
		if r.length = length(value); r.length < 0 {
			return malformed
		}
		return stays
	case len("proxy-connection"):
		if is(name, "proxy-connection") {
			return stays
		}
	case len("transfer-encoding"):
		if !is(name, "transfer-encoding") {
			break
		}
		if r.coded || !is(value, "chunked") {
			return malformed
		}
		r.coded = true
		return stays
	case len("proxy-authenticate"):
		if is(name, "proxy-authenticate") {
			return stays
		}
	case len("proxy-authorization"):
		if is(name, "proxy-authorization") {
			return stays
		}
	}
	return passes
}

// options reads the value of Connection (RFC 9110 §7.6.1).
func (r *reply) options(value []byte, keep *bool) fate {
	for more := true; more; {
		var option []byte
		option, value, more = bytes.Cut(value, comma)
		switch option = bytes.Trim(option, " \t"); {
		case is(option, "close"):
			r.close = true
		case is(option, "keep-alive"):
			*keep = true
		case len(option) == 0:
		default:
			r.named = append(r.named, option)
		}
	}
	return stays
}

// dropNamed keeps the fields that Connection names from being passed on.
func (r *reply) dropNamed() {
	kept := r.lines[:0]
	for _, line := range r.lines {
		name, _, _ := bytes.Cut(line, colon)
		if !slices.ContainsFunc(r.named, func(n []byte) bool { return bytes.EqualFold(n, name) }) {
			kept = append(kept, line)
		}
	}
	r.lines = kept
}

var colon = []byte{':'}
