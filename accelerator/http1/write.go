package http1

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// progress tells a slow client from one that stopped reading. The kernel's
// buffer may hold megabytes, and room for new bytes comes in lumps of 64 KiB and
// more, so that a write which waits says little: what counts is whether the
// client acknowledged anything, tcp(7) TCP_INFO.
type progress struct {
	known bool
	acked uint64
	since time.Time // of the last progress seen
}

// stallLooks is how often a write that waits is looked at in the time of the stall
// rule, or not quite as often, see arm. What is noticed late counts from then on, so
// with few looks a client would have more than twice its time.
const stallLooks = 8

// mayGoOn judges a write that ended after n bytes with err. It is true if only
// the stall rule interrupted it and the client still takes bytes.
func (c *conn) mayGoOn(p *progress, n int64, err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.out.userPassed() || c.closing.Load() {
		return false
	}
	now, acked := time.Now(), c.acked()
	if n > 0 || !p.known || acked != p.acked {
		*p = progress{known: true, acked: acked, since: now}
		return true
	}
	if now.Sub(p.since) < c.l.limits.WriteStall {
		return true
	}
	if !c.deaf.Swap(true) {
		c.l.Stats.Refused[WriteStalled].Add(1)
	}
	c.TCPConn.SetLinger(0) // what is in the kernel's buffer goes with the connection
	return false
}

// acked returns how many bytes the client has acknowledged.
func (c *conn) acked() (n uint64) {
	raw, err := c.TCPConn.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Bytes_acked
		}
	})
	return n
}

// ready prepares a write: the deadline is when a waiting write is looked at. In
// a tunnel and without a limit there is none.
func (c *conn) ready() error {
	if c.deaf.Load() {
		return WriteStalled
	}
	tick := c.l.limits.WriteStall / stallLooks
	if c.tunnel.Load() {
		tick = 0
	}
	return c.out.arm(tick)
}

// Write writes all of p, for as long as the client takes bytes.
func (c *conn) Write(p []byte) (int, error) {
	var pg progress
	done := 0
	for {
		if err := c.ready(); err != nil {
			return done, err
		}
		n, err := c.TCPConn.Write(p[done:])
		done += n
		if err == nil || !c.mayGoOn(&pg, int64(n), err) {
			return done, err
		}
	}
}

// file is what sendfile takes: *os.File, or the wrapper that io.Copy makes of one.
type file interface {
	io.Reader
	io.Seeker
	syscall.Conn
	Stat() (fs.FileInfo, error)
}

// ReadFrom copies src to the client: a file, or part of one, by sendfile; in a
// tunnel by splice where src allows it; else through Write.
func (c *conn) ReadFrom(src io.Reader) (int64, error) {
	if c.tunnel.Load() {
		return c.TCPConn.ReadFrom(src)
	}
	if f, ok := regular(src); ok {
		return c.sendFile(src, f)
	}
	return io.Copy(struct{ io.Writer }{c}, src)
}

// regular finds the regular file in src.
func regular(src io.Reader) (file, bool) {
	if part, ok := src.(*io.LimitedReader); ok {
		src = part.R
	}
	f, ok := src.(file)
	if !ok {
		return nil, false
	}
	info, err := f.Stat()
	return f, err == nil && info.Mode().IsRegular()
}

// sendFile copies f, or the part of it that src is, for as long as the client
// takes bytes. An interrupted sendfile(2) has moved the file's position by what
// it sent. Where it had to fall back on reading and writing that does not hold,
// and the copy ends.
func (c *conn) sendFile(src io.Reader, f file) (done int64, err error) {
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return io.Copy(struct{ io.Writer }{c}, src)
	}
	var pg progress
	for {
		if err := c.ready(); err != nil {
			return done, err
		}
		n, err := c.TCPConn.ReadFrom(src)
		done += n
		if err == nil || !c.mayGoOn(&pg, n, err) {
			return done, err
		}
		if at, seekErr := f.Seek(0, io.SeekCurrent); seekErr != nil || at != start+done {
			return done, err
		}
	}
}
