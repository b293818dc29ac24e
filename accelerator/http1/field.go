package http1

import (
	"bytes"
	"math"
)

// field is the field line that a framer is in. Only the fields that decide
// where a message ends, and Host, are kept, and they are short.
type field struct {
	nameBuf [len("transfer-encoding")]byte // lower case
	nName   int                            // length of the name, may be more than was kept
	kind    fieldKind
	text    [512]byte
	nText   int
	long    bool // the value did not fit text
}

type fieldKind uint8

const (
	otherField fieldKind = iota
	hostField
	lengthField
	codingField
	upgradeField
	trailerField
)

func (f *field) reset() {
	f.nName, f.nText, f.long, f.kind = 0, 0, false, otherField
}

func (f *field) addName(c byte) {
	if f.nName < len(f.nameBuf) {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		f.nameBuf[f.nName] = c
	}
	f.nName++
}

func (f *field) classify() {
	if f.nName > len(f.nameBuf) {
		return
	}
	switch string(f.nameBuf[:f.nName]) {
	case "host":
		f.kind = hostField
	case "content-length":
		f.kind = lengthField
	case "transfer-encoding":
		f.kind = codingField
	case "upgrade":
		f.kind = upgradeField
	case "trailer":
		f.kind = trailerField
	}
}

func (f *field) addValue(b []byte) {
	if f.kind != hostField && f.kind != lengthField && f.kind != codingField {
		return
	}
	n := copy(f.text[f.nText:], b)
	f.nText += n
	f.long = f.long || n < len(b)
}

// endField judges a complete field line.
func (f *framer) endField() Reason {
	h, fd := &f.head, &f.field
	if h.trailer {
		// RFC 9110 §6.5.1: no framing, no routing in trailers.
		if fd.kind != otherField && fd.kind != upgradeField {
			return BadTrailer
		}
		return None
	}
	value := bytes.Trim(fd.text[:fd.nText], " \t")
	switch fd.kind {
	case hostField:
		if h.hosts++; h.hosts > 1 {
			return HostRepeated
		}
		if fd.long || !validHost(value) {
			return HostMalformed
		}
	case lengthField:
		if h.lengths++; h.lengths > 1 {
			return LengthRepeated
		}
		n, ok := parseLength(value)
		if fd.long || !ok {
			return LengthMalformed
		}
		h.length = n
	case codingField:
		if h.codings++; h.codings > 1 {
			h.coding = append(h.coding, ',')
		}
		if h.coding = append(h.coding, value...); fd.long || len(h.coding) > len(fd.text) {
			return CodingMalformed
		}
	case upgradeField:
		h.tunnel = true
	}
	return None
}

// parseLength reads 1*DIGIT below 2^63 (RFC 9110 §8.6).
func parseLength(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// endHead decides where the body ends, RFC 9112 §6.3.
func (f *framer) endHead() Reason {
	h := &f.head
	old := h.major == 1 && h.minor == 0
	switch {
	case h.major != 1 && h.nVerb == 3 && string(h.verb[:3]) == "PRI":
		return BadRequestLine // net/http would take the HTTP/2 preface for a request
	case h.major != 1:
		return BadVersion
	case h.hosts == 0 && !old:
		return HostMissing
	case h.codings > 0 && old:
		return CodingInOldVersion
	case h.codings > 0 && h.lengths > 0:
		return LengthAndCoding
	case h.nVerb == 7 && string(h.verb[:7]) == "CONNECT" && (h.codings > 0 || h.length > 0):
		return ConnectWithBody
	case h.codings > 0:
		if r := judgeCoding(h.coding); r != None {
			return r
		}
		f.excess = 0
		f.startChunk()
	case h.length > 0:
		f.remain = h.length
		f.state = inBody
	default:
		f.done()
	}
	return None
}

// judgeCoding accepts chunked alone. A list that ends in chunked is well
// formed, but its other codings are not known here (501); anything else has no
// end that can be trusted (400).
func judgeCoding(list []byte) Reason {
	known := true
	for {
		first, rest, more := bytes.Cut(list, []byte(","))
		first = bytes.Trim(first, " \t")
		chunked := bytes.EqualFold(first, []byte("chunked"))
		switch {
		case chunked && !more && known:
			return None
		case chunked && !more:
			return CodingUnknown
		case chunked || !more || !isToken(first):
			return CodingMalformed
		}
		known, list = false, rest
	}
}

func isToken(b []byte) bool {
	for _, c := range b {
		if class[c]&tokenByte == 0 {
			return false
		}
	}
	return len(b) > 0
}
