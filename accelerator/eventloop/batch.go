package eventloop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A batch is the answers to what has been read from one connection, before they
// are sent in one write. Heads and small bodies are copied one behind the other
// into one buffer; a large body stays where it is and becomes a piece of its
// own, between pieces of the buffer. A loop has one batch and never keeps
// anything in it between two connections.
type batch struct {
	buf    []byte  // of fixed capacity: pieces point into it
	mark   int     // where in buf the next piece begins
	pieces []piece // in the order to be sent
	bytes  int     // of all of them

	vectors []unix.Iovec // for sendv
}

// A piece is memory to be sent.
type piece struct {
	bytes []byte
	lasts bool // a body: it stays what it is. Else it lies in the batch's buffer.
}

const (
	// batchBuffer holds the answers to a few dozen small requests, or one head and
	// the largest body that is copied.
	batchBuffer = 64 << 10
	// copyAtMost is the largest body that is copied behind its head: up to there
	// the copy costs less than a second piece in the system call.
	copyAtMost = 8 << 10
	// maxRendered bounds a rendered head. A configuration that makes longer ones
	// (a Cache-Control of kilobytes) gets them from the complete tier.
	maxRendered = 8 << 10
	// batchPieces bounds the pieces of one write; the kernel's own bound is 1024.
	batchPieces = 64
	// batchBytes is when a batch is sent though there are more requests.
	batchBytes = 256 << 10
)

func newBatch() batch {
	return batch{
		buf:     make([]byte, 0, batchBuffer),
		pieces:  make([]piece, 0, batchPieces),
		vectors: make([]unix.Iovec, 0, batchPieces),
	}
}

// full tells whether another head, and a body that is copied, might not fit.
func (b *batch) full() bool {
	return len(b.buf) > batchBuffer-maxRendered-copyAtMost || len(b.pieces) > batchPieces-3 || b.bytes > batchBytes
}

func (b *batch) empty() bool { return len(b.buf) == 0 && len(b.pieces) == 0 }

// body adds a body behind the head that is in buf.
func (b *batch) body(body []byte) {
	if len(body) <= copyAtMost {
		b.buf = append(b.buf, body...)
		return
	}
	b.cut()
	b.pieces = append(b.pieces, piece{body, true})
	b.bytes += len(body)
}

// borrow adds a part of a body that is there until the batch is sent, and no longer.
func (b *batch) borrow(body []byte) {
	if len(body) <= copyAtMost {
		b.buf = append(b.buf, body...)
		return
	}
	b.cut()
	b.pieces = append(b.pieces, piece{body, false})
	b.bytes += len(body)
}

// cut makes what is new in the buffer a piece.
func (b *batch) cut() {
	if p := b.buf[b.mark:]; len(p) > 0 {
		b.pieces = append(b.pieces, piece{p, false})
		b.bytes += len(p)
		b.mark = len(b.buf)
	}
}

func (b *batch) reset() {
	clear(b.pieces) // Bodies are not to be kept alive.
	b.buf, b.mark, b.pieces, b.bytes = b.buf[:0], 0, b.pieces[:0], 0
}

// flush sends the batch; flags may say that more follows at once (MSG_MORE). It
// reports whether all of it was sent. If not, the connection either is gone or
// has the rest as its output.
func (l *loop) flush(c *conn, flags int) bool {
	b := &l.batch
	if b.empty() {
		return true
	}
	b.cut()
	n, alive := l.sendPieces(c, b.pieces, flags)
	all := n == b.bytes
	if alive && !all {
		c.out = l.keep(b.pieces, n)
	}
	b.reset()
	return alive && all
}

// sendPieces sends what there is room for. A connection that is not alive has
// been dropped.
func (l *loop) sendPieces(c *conn, pieces []piece, flags int) (n int, alive bool) {
	n, errno := l.push(c, pieces, flags)
	l.tally.counters[Bytes] += uint64(n)
	if errno != 0 && errno != again {
		l.tally.counters[Resets]++
		l.drop(c)
		return n, false
	}
	return n, true
}

// push writes as much of the pieces as there is room for.
func (l *loop) push(c *conn, pieces []piece, flags int) (n int, errno syscall.Errno) {
	if len(pieces) == 1 {
		return send(int(c.fd), pieces[0].bytes, flags)
	}
	v := l.batch.vectors[:0]
	for _, p := range pieces[:min(len(pieces), batchPieces)] {
		v = append(v, unix.Iovec{Base: &p.bytes[0]})
		v[len(v)-1].SetLen(len(p.bytes))
	}
	n, errno = sendv(int(c.fd), v, flags)
	clear(v)
	return n, errno
}
