package http1

// head is what a framer knows of the head, or trailer section, that it is in.
type head struct {
	left    int // bytes until the limit
	fields  int // field lines so far
	trailer bool

	verb     [8]byte // the first bytes of the method
	nVerb    int
	spot     int  // place in the version; in the target: not its first byte
	asterisk bool // the target is "*"
	major    byte
	minor    byte
	tunnel   bool // CONNECT or Upgrade: the handler may take the connection over

	hosts   int
	lengths int
	length  int64
	codings int
	coding  []byte // Transfer-Encoding fields, joined by commas
}

// The form of the version, RFC 9112 §2.3; D is a digit.
const versionForm = "HTTP/D.D"

func (f *framer) method(b []byte) (int, Reason) {
	h := &f.head
	for i, c := range b {
		switch {
		case class[c]&tokenByte != 0:
			if h.nVerb < len(h.verb) {
				h.verb[h.nVerb] = c
			}
			h.nVerb++
		case c == ' ' && h.nVerb > 0:
			h.tunnel = h.is("CONNECT")
			h.spot = 0
			f.state = inTarget
			return i + 1, None
		default:
			return i, BadRequestLine
		}
	}
	return len(b), None
}

// target takes the request target. Its form is left to net/http; octets above
// 0x7f are let through, as browsers of old send them.
func (f *framer) target(b []byte) (int, Reason) {
	h := &f.head
	for i, c := range b {
		switch {
		case c == ' ' && h.asterisk && !h.is("OPTIONS"):
			return i, BadRequestLine // RFC 9112 §3.2.4
		case c == ' ' && h.spot > 0:
			h.spot = 0
			f.state = inVersion
			return i + 1, None
		case class[c]&textByte == 0 || c == ' ' || c == '\t':
			return i, BadRequestLine
		}
		h.asterisk = h.spot == 0 && c == '*'
		h.spot = 1
	}
	return len(b), None
}

// is reports whether the method is the given one, which is not longer than verb.
func (h *head) is(method string) bool {
	return h.nVerb == len(method) && string(h.verb[:h.nVerb]) == method
}

func (f *framer) version(b []byte) (int, Reason) {
	h := &f.head
	for i, c := range b {
		switch {
		case h.spot == len(versionForm) && c == '\r':
			f.state = atRequestLF
			return i + 1, None
		case h.spot == len(versionForm):
			return i, BadRequestLine
		case versionForm[h.spot] == 'D' && '0' <= c && c <= '9':
			h.major, h.minor = h.minor, c-'0'
		case versionForm[h.spot] == 'D' || versionForm[h.spot] != c:
			return i, BadRequestLine
		}
		h.spot++
	}
	return len(b), None
}

func (f *framer) requestLF(b []byte) (int, Reason) {
	if b[0] != '\n' {
		return 0, BareCR
	}
	f.state = atLine
	return 1, None
}

// lineStart decides between a field line and the end of the section. White
// space here is a folded line (RFC 9112 §5.2) or, on the first line, an attempt
// to hide a field (§2.2).
func (f *framer) lineStart(b []byte) (int, Reason) {
	switch c := b[0]; {
	case c == '\r':
		f.state = atEndLF
		return 1, None
	case c == '\n':
		return 0, BareLF
	case c == ' ' || c == '\t':
		return 0, FoldedLine
	case f.head.fields == f.headFields:
		return 0, TooManyFields
	}
	f.head.fields++
	f.field.reset()
	f.state = inName
	return f.name(b)
}

func (f *framer) name(b []byte) (int, Reason) {
	for i, c := range b {
		switch {
		case class[c]&tokenByte != 0:
			f.field.addName(c)
		case c == ':' && f.field.nName > 0:
			f.field.classify()
			f.state = inValue
			return i + 1, None
		case (c == ' ' || c == '\t') && f.field.nName > 0:
			return i, SpaceBeforeColon
		default:
			return i, BadFieldName
		}
	}
	return len(b), None
}

func (f *framer) value(b []byte) (int, Reason) {
	for i, c := range b {
		if class[c]&textByte != 0 {
			continue
		}
		f.field.addValue(b[:i])
		switch c {
		case '\r':
			f.state = atValueLF
			return i + 1, None
		case '\n':
			return i, BareLF
		}
		return i, ControlByte
	}
	f.field.addValue(b)
	return len(b), None
}

func (f *framer) valueLF(b []byte) (int, Reason) {
	if b[0] != '\n' {
		return 0, BareCR
	}
	if r := f.endField(); r != None {
		return 0, r
	}
	f.state = atLine
	return 1, None
}

func (f *framer) endLF(b []byte) (int, Reason) {
	if b[0] != '\n' {
		return 0, BareCR
	}
	if f.head.trailer {
		f.done()
		return 1, None
	}
	r := f.endHead()
	if r != None && Reasons[r].ends == endsAlone {
		return 1, r // net/http is to see the whole head
	}
	if r != None {
		return 0, r
	}
	return 1, None
}

// Classes of bytes, RFC 9110 §5.6.2 and §5.5.
const (
	tokenByte = 1 << iota // tchar
	textByte              // HTAB, SP, VCHAR, obs-text
	hexByte               // HEXDIG
	hostByte              // reg-name of RFC 3986 §3.2.2: unreserved, sub-delims, and % of an escape
)

// class is a constant table.
var class = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		alnum := '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
		if alnum {
			t[c] |= tokenByte | hostByte
		}
		if '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f' {
			t[c] |= hexByte
		}
		if b == '\t' || b >= ' ' && b != 0x7f {
			t[c] |= textByte
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= tokenByte
	}
	for _, c := range []byte("-._~!$&'()*+,;=%") {
		t[c] |= hostByte
	}
	return t
}()
