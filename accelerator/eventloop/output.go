package eventloop

import (
	"golang.org/x/sys/unix"

	"ramjet/accelerator/content"
)

// output is what a connection has still to be sent: pieces of memory, then a
// part of a file.
type output struct {
	pieces []piece

	file    *content.Representation // nil for none
	at, end int64                   // the part that is left

	log late // what the log will say when it is over
}

// keep makes an output of all but the first n bytes of a batch's pieces. What
// lies in the batch's buffer is copied, bodies are not.
func (l *loop) keep(pieces []piece, n int) *output {
	o := l.newOutput()
	for _, p := range pieces {
		if n >= len(p.bytes) {
			n -= len(p.bytes)
			continue
		}
		p.bytes, n = p.bytes[n:], 0
		if !p.lasts {
			p = piece{append([]byte(nil), p.bytes...), true}
		}
		o.pieces = append(o.pieces, p)
	}
	return o
}

func (l *loop) newOutput() *output {
	if n := len(l.outputs); n > 0 {
		o := l.outputs[n-1]
		l.outputs = l.outputs[:n-1]
		return o
	}
	return &output{}
}

// maxSpare bounds the outputs that are kept to be used again.
const maxSpare = 256

// forget ends an output.
func (l *loop) forget(c *conn) {
	o := c.out
	if c.out = nil; o == nil {
		return
	}
	clear(o.pieces)
	*o = output{pieces: o.pieces[:0], log: late{buf: o.log.buf[:0]}}
	if len(l.outputs) < maxSpare {
		l.outputs = append(l.outputs, o)
	}
}

// block has c wait for room to send its output.
func (l *loop) block(c *conn) {
	if !c.roomy {
		c.roomy = true
		l.watch(c)
	}
	if c.state != sending {
		c.acked, c.since = 0, l.clock.now
	}
	l.enter(c, sending)
}

// write goes on with the output of c, and when all of it is sent with what the
// client has asked for meanwhile.
func (l *loop) write(c *conn) {
	o := c.out
	for len(o.pieces) > 0 {
		flags := 0
		if o.file != nil {
			flags = unix.MSG_MORE
		}
		n, alive := l.sendPieces(c, o.pieces, flags)
		if !alive {
			return
		}
		if n == 0 {
			l.block(c)
			return
		}
		o.consume(n)
	}
	if o.file != nil && !l.sendRest(c) {
		return
	}
	l.logLate(c, 0)
	l.forget(c)
	if c.x != nil {
		l.goOnRelaying(c)
		return
	}
	c.state = idle
	l.resume(c)
}

// consume drops the first n bytes of the pieces.
func (o *output) consume(n int) {
	for n > 0 {
		p := &o.pieces[0]
		if n < len(p.bytes) {
			p.bytes = p.bytes[n:]
			return
		}
		n -= len(p.bytes)
		o.pieces = o.pieces[:copy(o.pieces, o.pieces[1:])]
	}
}

// left returns how many bytes are still to be sent.
func (o *output) left() (n int64) {
	for _, p := range o.pieces {
		n += int64(len(p.bytes))
	}
	return n + o.end - o.at
}
