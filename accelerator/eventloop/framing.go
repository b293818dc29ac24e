package eventloop

import "bytes"

// framing finds the end of an answer's body in what a backend sends: by its length,
// in chunks, or by the end of the connection (RFC 9112 §6.3). It keeps no bytes but
// those of a trailer section, so a body of any size costs the same.
//
// What a client gets is never what the backend wrote for framing: the payload is
// taken out here, and framed anew by whoever sends it. So a backend cannot make
// the client see an end where we see none, however it writes its chunks.
type framing struct {
	kind    kind
	left    int64  // of the body, or of the chunk
	place   place  // in chunks
	digits  int    // of the chunk's size that were read
	extra   int    // bytes of chunk extensions
	trailer []byte // the trailer section's field lines, as received, each with its end
	line    []byte // a line that came in part
}

// kind is how a body ends.
type kind uint8

const (
	byLength kind = iota
	inChunks
	byClose
)

// place is where in a chunked body the next byte belongs.
type place uint8

const (
	inSize place = iota
	behindSize
	inExtension
	afterSize
	inData
	afterData
	behindData
	inTrailer
	atEnd
)

// The bounds of what is not payload.
const (
	maxExtension = 4 << 10 // of all chunks together, for a body that is not larger; else a part of it
	maxTrailer   = 4 << 10 // of a trailer section
	maxChunk     = 1 << 58 // of a chunk
)

// reset begins with a body.
func (f *framing) reset(k kind, length int64) {
	*f = framing{kind: k, left: length, trailer: f.trailer[:0], line: f.line[:0]}
}

// take finds the payload in b, of which it changes the contents: pieces are moved
// together. rest is what is behind the body's end. It is not ok if the chunks are
// malformed.
func (f *framing) take(b []byte) (payload, rest []byte, done, ok bool) {
	switch f.kind {
	case byClose:
		return b, nil, false, true
	case byLength:
		n := min(int64(len(b)), f.left)
		f.left -= n
		return b[:n], b[n:], f.left == 0, true
	}
	from, to := -1, 0 // of the payload in b
	for at := 0; at < len(b); {
		if f.place == inData {
			n := int(min(int64(len(b)-at), f.left))
			if from < 0 {
				from, to = at, at+n
			} else {
				to += copy(b[to:], b[at:at+n])
			}
			if f.left -= int64(n); f.left == 0 {
				f.place = afterData
			}
			at += n
			continue
		}
		if f.place == inTrailer {
			used, good := f.trailerLine(b[at:])
			if !good {
				return nil, nil, false, false
			}
			at += used
		} else if !f.step(b[at]) {
			return nil, nil, false, false
		} else {
			at++
		}
		if f.place == atEnd {
			rest, done = b[at:], true
			break
		}
	}
	return b[max(from, 0):to], rest, done, true
}

// step reads one byte around the data of chunks (RFC 9112 §7.1).
func (f *framing) step(c byte) bool {
	switch f.place {
	case inSize:
		if v := hex(c); v >= 0 {
			f.left = f.left<<4 | int64(v)
			f.digits++
			return f.left < maxChunk
		}
		if f.digits == 0 {
			return false
		}
		f.place = behindSize
		return f.step(c)
	case behindSize:
		switch c {
		case '\r':
			f.place = afterSize
			return true
		case ';':
			f.place = inExtension
			return true
		}
		f.extra++
		return (c == ' ' || c == '\t') && f.extra <= maxExtension
	case inExtension:
		if c == '\r' {
			f.place = afterSize
			return true
		}
		f.extra++
		return (c >= ' ' || c == '\t') && c != 0x7f && f.extra <= maxExtension
	case afterSize:
		f.place = inData
		if f.left == 0 {
			f.place = inTrailer
		}
		return c == '\n'
	case afterData:
		f.place = behindData
		return c == '\r'
	default: // behindData
		f.place, f.left, f.digits = inSize, 0, 0
		f.extra = max(f.extra-64, 0) // A long body may have more of them.
		return c == '\n'
	}
}

// trailerLine reads one line of the trailer section, or the part of it that is there.
func (f *framing) trailerLine(b []byte) (used int, ok bool) {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		f.line = append(f.line, b...)
		return len(b), len(f.line)+len(f.trailer) <= maxTrailer
	}
	f.line = append(f.line, b[:n+1]...)
	if len(f.line)+len(f.trailer) > maxTrailer || !bytes.HasSuffix(f.line, crlf) {
		return 0, false
	}
	line := f.line[:len(f.line)-len(crlf)]
	if len(line) == 0 {
		f.place = atEnd
		return n + 1, true
	}
	name, _, ok := cutField(line)
	if ok && !framingField(name) {
		f.trailer = append(f.trailer, f.line...)
	}
	f.line = f.line[:0]
	return n + 1, ok
}

var crlf = []byte("\r\n")

// framingField tells the fields that have no business in a trailer section (RFC
// 9110 §6.5.1): whoever merges it into the head would believe them.
func framingField(name []byte) bool {
	for _, f := range [...]string{
		"transfer-encoding", "content-length", "host", "connection", "keep-alive", "upgrade", "trailer", "te", "via", "date",
		"content-encoding", "content-type", "content-range", "set-cookie", "proxy-connection", "location", "cache-control", "expires",
		"vary", "age", "www-authenticate", "proxy-authenticate", "retry-after",
	} {
		if is(name, f) {
			return true
		}
	}
	return false
}

// hex is the value of a hexadecimal digit, -1 of anything else.
func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
