package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a checked connection. It embeds the concrete *net.TCPConn, because
// net/http looks for ReadFrom (sendfile) and CloseWrite, and overrides every
// method that moves bytes or deadlines: the promoted ones would go past the checks.
//
// A request that asks for an upgrade, or CONNECT, ends what is known: what
// follows is a tunnel if the handler takes the connection over, else the next
// request. So nothing behind it is read until net/http has said which; its
// background read, which only waits for the client to go away, waits as well.
// No byte is delivered that was neither checked nor meant for a tunnel.
type conn struct {
	*net.TCPConn
	l      *Listener
	ends   ends
	origin net.Conn // from which it was Taken, or nil
	in     deadline
	out    deadline

	answered atomic.Uint64 // requests behind which net/http went on to the next
	tunnel   atomic.Bool   // hijacked, or HTTP/2: raw from now on
	cut      atomic.Bool   // refused: close with care
	deaf     atomic.Bool   // stopped reading: no more writes
	closing  atomic.Bool
	gone     sync.Once

	mu      sync.Mutex // serialises reads, guards what follows
	framer  framer
	begun   bool   // what the first bytes are is known
	early   []byte // until then: they
	held    []byte // read, but not looked at: what follows a possible tunnel, or came with the connection
	insert  []byte // the rest of the malformed line
	filler  int    // bytes of filler left
	readErr error  // sticky, once held, insert and filler do not matter any more
}

// malformed makes net/http refuse a head, wherever in the head it is put: no
// method, target, version, field name or field value may have a NUL.
const malformed = "\x00\r\n\r\n"

// maxFiller bounds the filler that leads net/http to its own limit.
const maxFiller = 2 << 20

// bodyFiller is more than net/http's chunked reader looks through for the end of
// a line or of a trailer section, 4 KiB.
const bodyFiller = 16 << 10

// errRefused ends reads behind a refused head.
var errRefused = errors.New("http1: the connection was refused")

func (l *Listener) newConn(tcp *net.TCPConn, unread []byte) *conn {
	c := &conn{TCPConn: tcp, l: l, held: unread, begun: !l.HTTP2}
	from := remote(tcp)
	c.ends.expected, c.ends.counted = l.proxied(from), l.counts(from)
	c.in.set = tcp.SetReadDeadline
	c.out.set = tcp.SetWriteDeadline
	c.framer.headBytes = l.limits.HeadBytes
	c.framer.headFields = l.limits.HeadFields
	return c
}

// Read reads checked bytes.
func (c *conn) Read(p []byte) (int, error) {
	c.identify()
	if len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	if c.tunnel.Load() {
		return c.readTunnel(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case len(c.insert) > 0:
			n := copy(p, c.insert)
			c.insert = c.insert[n:]
			return n, nil
		case c.filler > 0:
			return c.fill(p), nil
		case c.readErr != nil:
			return 0, c.readErr
		}
		if c.framer.state == onHold {
			if c.answered.Load() < c.framer.messages {
				return 0, c.waitForPeer()
			}
			c.framer.resume()
		}
		n, err := c.fetch(p)
		if err != nil {
			return 0, err
		}
		if !c.begun && !c.begin(p[:n]) {
			if c.tunnel.Load() {
				return c.unhold(p), nil
			}
			continue
		}
		if n = c.check(p[:n]); n > 0 {
			return n, nil
		}
	}
}

// fetch reads what was held back, or from the socket under the stall rule.
func (c *conn) fetch(p []byte) (int, error) {
	if len(c.held) > 0 {
		return c.unhold(p), nil
	}
	stall := time.Duration(0)
	if c.framer.midBody() {
		stall = c.l.limits.BodyStall
	}
	if err := c.in.arm(stall); err != nil {
		return 0, err
	}
	n, err := c.TCPConn.Read(p)
	if err != nil && stall > 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.in.userPassed() {
		c.refuse(BodyStalled)
		c.readErr = err
	}
	return n, err
}

// check runs b through the framer and returns how many bytes at the beginning
// of b are good, having moved them together.
func (c *conn) check(b []byte) (good int) {
	for at := 0; at < len(b); {
		skip, n, r := c.framer.scan(b[at:])
		if at += skip; at != good {
			copy(b[good:], b[at:at+n])
		}
		good += n
		at += n
		if r != None {
			c.refuse(r)
			return good
		}
		if c.framer.state == onHold {
			c.held = append([]byte(nil), b[at:]...)
			return good
		}
	}
	return good
}

// refuse decides what the rest of the connection's input is replaced by.
func (c *conn) refuse(r Reason) {
	c.l.Stats.Refused[r].Add(1)
	if c.l.OnRefused != nil && Reasons[r].unheard() {
		client, _ := c.RemoteAddr().(*net.TCPAddr)
		c.l.OnRefused(client.AddrPort(), r)
	}
	c.cut.Store(true)
	c.held = nil
	switch Reasons[r].ends {
	case ends400:
		c.insert, c.readErr = []byte(malformed), errRefused
	case ends431:
		c.filler, c.readErr = maxFiller, errRefused
	case endsBody:
		// An error of the connection would make net/http take the client for gone.
		c.filler, c.readErr = bodyFiller, errRefused
	case endsAlone:
		// One byte more: net/http watches the connection while it answers what came
		// before, and takes an error for a client that has gone.
		c.filler, c.readErr = 1, errRefused
	case endsByError:
		c.readErr = r
	}
}

func (c *conn) fill(p []byte) int {
	p = p[:min(len(p), c.filler)]
	for i := range p {
		p[i] = 'x'
	}
	c.filler -= len(p)
	return len(p)
}

func (c *conn) unhold(p []byte) int {
	n := copy(p, c.held)
	if c.held = c.held[n:]; len(c.held) == 0 {
		c.held = nil
	}
	return n
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.in.setUser(t), c.out.setUser(t))
}

// SetReadDeadline sets the deadline of reads; the stall rule still holds.
func (c *conn) SetReadDeadline(t time.Time) error { return c.in.setUser(t) }

// SetWriteDeadline sets the deadline of writes; the stall rule still holds.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.setUser(t) }

// The bounds of a lingering close.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// Close closes the connection. Behind a refused request there is input that
// nobody reads: closing at once would reset the connection and take the answer
// from the client. So the write side is closed first, and input thrown away for
// a moment (RFC 9112 §9.6). A second Close does not wait for that.
func (c *conn) Close() error {
	if !c.closing.CompareAndSwap(false, true) || !c.cut.Load() {
		return c.end()
	}
	if err := c.TCPConn.CloseWrite(); err != nil {
		return c.end()
	}
	go func() {
		c.TCPConn.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, c.TCPConn, lingerBytes)
		c.end()
	}()
	return nil
}

// end closes the socket and gives the slot back.
func (c *conn) end() error {
	err := c.TCPConn.Close()
	c.gone.Do(c.discount)
	return err
}
