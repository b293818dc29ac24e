package http1

// A framer follows the message boundaries of the request side of one HTTP/1
// connection (RFC 9112). It looks at every byte once, in whatever pieces they
// come, keeps no message and has three answers: these bytes are good, these
// bytes are to be dropped (empty lines before a request, §2.2), or wrong.
// What it accepts, net/http parses into messages with the same boundaries.
//
// A framer is owned by the reading side of its connection.
type framer struct {
	headBytes  int // limit of a head, empty lines before it not counted
	headFields int // limit of field lines in a head or trailer section

	state    state
	messages uint64 // complete messages so far
	blanks   int    // empty lines before the request line

	head  head
	field field

	remain int64 // bytes left of the body or of the chunk
	digits int   // digits of the chunk size so far
	ext    extState
	line   int   // bytes of the chunk extensions of this chunk
	excess int64 // bytes of chunk extensions that no data paid for
}

// state is what the next byte must be part of.
type state uint8

const (
	atStart state = iota // nothing, or empty lines, of a request
	atStartLF
	inMethod
	inTarget
	inVersion
	atRequestLF
	atLine // the first byte of a field line or of the empty line
	inName
	inValue
	atValueLF
	atEndLF
	inBody
	inChunkSize
	inChunkExt // see extState
	atChunkLF
	inChunkData
	atDataCR
	atDataLF
	onHold // behind a request that may become a tunnel: nothing is looked at until resume
	refused
	numStates
)

// steps has one function for each state. A step takes at least one byte of a
// non-empty b, or says what is wrong with the byte behind the n good ones.
var steps = [numStates]func(f *framer, b []byte) (n int, r Reason){
	inMethod:    (*framer).method,
	inTarget:    (*framer).target,
	inVersion:   (*framer).version,
	atRequestLF: (*framer).requestLF,
	atLine:      (*framer).lineStart,
	inName:      (*framer).name,
	inValue:     (*framer).value,
	atValueLF:   (*framer).valueLF,
	atEndLF:     (*framer).endLF,
	inBody:      (*framer).body,
	inChunkSize: (*framer).chunkSize,
	inChunkExt:  (*framer).chunkExt,
	atChunkLF:   (*framer).chunkLF,
	inChunkData: (*framer).chunkData,
	atDataCR:    (*framer).dataCR,
	atDataLF:    (*framer).dataLF,
}

// Limits that keep net/http from refusing what was let through: its trailer
// section must fit its 4 KiB buffer, and it allows 16 KiB of unpaid chunk
// extensions. maxBlanks is lenience for old clients, RFC 9112 §2.2.
const (
	maxBlanks       = 2
	maxTrailerBytes = 2 << 10
	maxExtBytes     = 1 << 10
	maxExcess       = 8 << 10
	maxChunkDigits  = 16
	maxChunkBytes   = 1 << 60
)

// scan looks at b: b[:skip] is to be dropped, b[skip:skip+n] is good. What is
// behind was not looked at: it is wrong for reason r; or, if r is None, the
// framer is on hold or wants to be called again with it.
func (f *framer) scan(b []byte) (skip, n int, r Reason) {
	skip, r = f.start(b)
	if r != None {
		return skip, 0, f.refuse(r)
	}
	i := skip
	for i < len(b) && f.state != onHold {
		if f.state == atStart && i > skip && (b[i] == '\r' || b[i] == '\n') {
			break // an empty line between two requests: the next call drops it
		}
		part := b[i:]
		if f.state == atStart {
			f.begin()
		}
		limited := f.state < inBody
		if limited {
			if part = part[:min(len(part), f.head.left)]; len(part) == 0 {
				return skip, i - skip, f.refuse(HeadTooLarge)
			}
		}
		k, r := steps[f.state](f, part)
		i += k
		if limited {
			f.head.left -= k
		}
		if r != None {
			return skip, i - skip, f.refuse(r)
		}
	}
	return skip, i - skip, None
}

// start drops empty lines before a request line.
func (f *framer) start(b []byte) (skip int, r Reason) {
	for skip < len(b) {
		switch {
		case f.state == atStartLF && b[skip] == '\n':
			f.blanks++
			f.state = atStart
		case f.state == atStartLF:
			return skip, BareCR
		case f.state == atStart && b[skip] == '\n':
			return skip, BareLF
		case f.state == atStart && b[skip] == '\r':
			if f.blanks == maxBlanks {
				return skip, BadRequestLine
			}
			f.state = atStartLF
		default:
			return skip, None
		}
		skip++
	}
	return skip, None
}

// begin starts a head.
func (f *framer) begin() {
	f.head = head{left: f.headBytes, coding: f.head.coding[:0]}
	f.blanks = 0
	f.state = inMethod
}

// done ends a message.
func (f *framer) done() {
	f.messages++
	f.head.trailer = false
	f.state = atStart
	if f.head.tunnel {
		f.state = onHold
	}
}

// resume goes on with the next request behind one that did not become a tunnel.
func (f *framer) resume() {
	f.state = atStart
}

// refuse ends it all. Whatever is wrong in a trailer section is a wrong
// trailer section: the head has long been passed on.
func (f *framer) refuse(r Reason) Reason {
	if f.head.trailer && f.state < inBody {
		r = BadTrailer
	}
	f.state = refused
	return r
}

// midBody reports whether the next byte belongs to the content or framing of a body.
func (f *framer) midBody() bool {
	return f.state >= inBody && f.state < onHold ||
		f.head.trailer && f.state >= atLine && f.state < inBody
}

// body takes content that Content-Length counts.
func (f *framer) body(b []byte) (int, Reason) {
	n := int(min(int64(len(b)), f.remain))
	if f.remain -= int64(n); f.remain == 0 {
		f.done()
	}
	return n, None
}
