package eventloop

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/content"
)

// Bodies that are not in memory go from the page cache to the socket by
// sendfile(2). Two things are seen to before each piece: that it is in the page
// cache, because the loop must not wait for a disk; and, before the last piece,
// that the file is still the one that was loaded, so that nobody takes a mixture
// of two for the whole.

const (
	// pieceAtMost bounds what is sent of a file before others have their turn.
	pieceAtMost = 1 << 20
	// heldBack is how much of a file is kept until it was seen unchanged.
	heldBack = 4 << 10
	// fetchRetry is when a connection asks again for a piece, if all helpers had
	// too much to do.
	fetchRetry = 50 * time.Millisecond
)

// unchanged tells whether the file of r is still the one that was loaded.
func (l *loop) unchanged(r *content.Representation) bool {
	fd, ok := r.Descriptor()
	return ok && stat(fd, &l.stat) == 0 && r.Unchanged(&l.stat)
}

// sendRest sends what there is room for of the part of a file that is the output
// of c, and reports whether that was all. If not, c waits for room, or for the
// disk, or is gone.
func (l *loop) sendRest(c *conn) bool {
	o := c.out
	fd, _ := o.file.Descriptor()
	for o.at < o.end {
		n := min(o.end-o.at, pieceAtMost)
		if o.at+n < o.end || n > heldBack {
			n -= heldBack // Never the last bytes together with others.
		} else if !l.unchanged(o.file) {
			l.abort(c)
			return false
		}
		if !l.hot(c, fd, o.at, n) {
			l.fetch(c, job{file: o.file, at: o.at, n: n})
			return false
		}
		sent, errno := sendFile(int(c.fd), fd, &o.at, n)
		l.tally.counters[Bytes] += uint64(sent)
		l.tally.counters[FileBytes] += uint64(sent)
		switch {
		case errno == again:
			l.block(c)
			return false
		case errno == unix.EPIPE || errno == unix.ECONNRESET:
			l.tally.counters[Resets]++
			l.drop(c)
			return false
		case errno != 0 || sent == 0: // The disk failed, or the file is shorter than it was.
			l.abort(c)
			return false
		}
	}
	return true
}

// hot tells whether the n bytes at an offset of a file are in memory, as far as
// can be known without waiting. What a helper has just fetched for c is.
func (l *loop) hot(c *conn, fd int, at, n int64) bool {
	if c.warm {
		c.warm = false
		return true
	}
	if !l.server.noCachestat.Load() {
		pages, errno := cached(fd, at, n)
		switch {
		case errno != 0: // An older kernel, or not our file.
			l.server.noCachestat.Store(true)
		case pages < (at+n-1)/pageSize-at/pageSize+1:
			return false
		default:
			// A page that is counted may be on its way still. They come in order.
			_, errno := readNoWait(fd, l.probe[:], at+n-1)
			return errno == 0
		}
	}
	if l.spare == nil {
		l.spare = make([]byte, 64<<10)
	}
	for end := at + n; at < end; { // The slow way: read all of it.
		got, errno := readNoWait(fd, l.spare[:min(int64(len(l.spare)), end-at)], at)
		if errno != 0 || got == 0 {
			return false
		}
		at += int64(got)
	}
	return true
}

var pageSize = int64(os.Getpagesize())

// A job is a piece of a file to be brought into memory, for a connection that
// waits for it.
type job struct {
	file  *content.Representation
	at, n int64

	loop *loop
	conn key
}

// fetch has a helper read a piece of a file, and c wait for it.
func (l *loop) fetch(c *conn, j job) {
	j.loop, j.conn = l, c.key
	l.tally.counters[ColdReads]++
	if !c.watched {
		l.watch(c)
	}
	l.enter(c, fetching)
	select {
	case l.server.jobs <- j:
		c.deadline = never
	default: // The deadline will ask again.
	}
}

// fetchAgain goes on as if the piece had come: if it has not, it is asked for again.
func (l *loop) fetchAgain(c *conn) { l.goOn(c) }

// fetched is told that a piece is in memory, or cannot be read.
func (l *loop) fetched(c *conn, err bool) {
	if c.state != fetching {
		return
	}
	switch {
	case err && c.out != nil:
		l.abort(c)
		return
	case err:
		c.lost = true
	default:
		c.warm = true
	}
	l.goOn(c)
}

// goOn goes on where c waited for the disk: in the middle of a body, or before
// the answer.
func (l *loop) goOn(c *conn) {
	c.state = idle
	if c.out != nil {
		l.write(c)
		return
	}
	l.resume(c)
}

// helpers is how many pieces are read from disk at the same time.
const helpers = 16

// help reads pieces for the loops until jobs ends.
func (s *Server) help() {
	buf := make([]byte, 256<<10)
	for j := range s.jobs {
		fd, _ := j.file.Descriptor()
		failed := readThrough(fd, buf, j.at, j.at+j.n) != nil
		j.loop.inbox.post(message{fetched: j.conn, failed: failed}, j.loop.bell)
	}
}
