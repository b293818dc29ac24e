package http1

// The steps of the chunked coding, RFC 9112 §7.1. net/http accepts white space
// behind a size and anything behind a semicolon; this does not. White space
// between size and semicolon, allowed by the RFC as bad, is refused by both.

func (f *framer) startChunk() {
	f.remain, f.digits, f.line = 0, 0, 0
	f.state = inChunkSize
}

func (f *framer) chunkSize(b []byte) (int, Reason) {
	for i, c := range b {
		if class[c]&hexByte != 0 {
			f.digits++
			f.remain = f.remain<<4 | int64(hexDigit(c))
			if f.digits > maxChunkDigits || f.remain > maxChunkBytes || f.remain < 0 {
				return i, BadChunk
			}
			continue
		}
		switch {
		case f.digits == 0:
			return i, BadChunk
		case c == '\r':
			f.state = atChunkLF
		case c == ';':
			f.state, f.ext = inChunkExt, extName0
		default:
			return i, BadChunk
		}
		return i + 1, None
	}
	return len(b), None
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// chunkLF ends the size line and settles what its extensions cost: data pays
// for them twofold, and little may stay unpaid (RFC 9112 §7.1.1).
func (f *framer) chunkLF(b []byte) (int, Reason) {
	if b[0] != '\n' {
		return 0, BadChunk
	}
	if f.line > 0 {
		f.excess += int64(f.line) + 4 // never less than net/http counts
	}
	f.excess = max(0, f.excess-2*min(f.remain, maxExcess))
	if f.excess > maxExcess {
		return 0, BadChunk
	}
	if f.state = inChunkData; f.remain == 0 {
		f.head.trailer = true
		f.head.fields, f.head.left = 0, maxTrailerBytes
		f.state = atLine
	}
	return 1, None
}

func (f *framer) chunkData(b []byte) (int, Reason) {
	n := int(min(int64(len(b)), f.remain))
	if f.remain -= int64(n); f.remain == 0 {
		f.state = atDataCR
	}
	return n, None
}

func (f *framer) dataCR(b []byte) (int, Reason) {
	if b[0] != '\r' {
		return 0, BadChunk
	}
	f.state = atDataLF
	return 1, None
}

func (f *framer) dataLF(b []byte) (int, Reason) {
	if b[0] != '\n' {
		return 0, BadChunk
	}
	f.startChunk()
	return 1, None
}

// extState is a place in the grammar of chunk extensions:
//
//	chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
//
// without white space before the first semicolon.
type extState uint8

const (
	extSemicolon extState = iota // white space was seen: a semicolon must follow
	extName0                     // before a name
	extName
	extEquals // white space behind a name
	extValue0 // before a value
	extValue
	extQuoted
	extEscape // behind a backslash
	extEnd    // behind a quoted string
	extBad
)

func (f *framer) chunkExt(b []byte) (int, Reason) {
	for i, c := range b {
		if c == '\r' && (f.ext == extName || f.ext == extValue || f.ext == extEnd) {
			f.state = atChunkLF
			return i + 1, None
		}
		f.ext = f.ext.next(c)
		if f.line++; f.ext == extBad || f.line > maxExtBytes {
			return i, BadChunk
		}
	}
	return len(b), None
}

func (s extState) next(c byte) extState {
	blank := c == ' ' || c == '\t'
	token := class[c]&tokenByte != 0
	switch s {
	case extQuoted, extEscape:
		switch {
		case class[c]&textByte == 0:
			return extBad
		case s == extQuoted && c == '"':
			return extEnd
		case s == extQuoted && c == '\\':
			return extEscape
		}
		return extQuoted
	case extName0, extName:
		switch {
		case token:
			return extName
		case s == extName0 && blank:
			return extName0
		case s == extName && blank:
			return extEquals
		}
	case extValue0, extValue:
		switch {
		case token:
			return extValue
		case s == extValue0 && blank:
			return extValue0
		case s == extValue0 && c == '"':
			return extQuoted
		}
	case extSemicolon, extEquals:
		if blank {
			return s
		}
	}
	switch {
	case c == '=' && (s == extName || s == extEquals):
		return extValue0
	case c == ';' && s != extName0 && s != extValue0:
		return extName0
	case blank && (s == extValue || s == extEnd):
		return extSemicolon
	}
	return extBad
}
