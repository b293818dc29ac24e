package eventloop

import (
	"syscall"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/backend"
)

// A large body of known length goes from the backend's socket to the client's by
// splice(2), through a pipe: its pages change hands, and are not copied.

const (
	// spliceFrom is what has to be left of a body for that.
	spliceFrom = 64 << 10
	// pipeSize is how much a pipe holds, if the kernel lets us have that.
	pipeSize = 1 << 20
	// sparePipes bounds the empty pipes that are kept.
	sparePipes = 32
)

// A pipe holds what has been read from a backend and not yet been sent.
type pipe struct {
	from, to int
	holds    int64
}

// newPipe returns an empty pipe, nil if there is none to be had.
func (l *loop) newPipe() *pipe {
	if n := len(l.pipes); n > 0 {
		p := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return p
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // A smaller one does as well.
	return &pipe{from: fds[0], to: fds[1]}
}

// endPipe gives up the pipe of an exchange.
func (l *loop) endPipe(x *exchange) {
	p := x.pipe
	if x.pipe = nil; p == nil {
		return
	}
	if p.holds == 0 && len(l.pipes) < sparePipes {
		l.pipes = append(l.pipes, p)
		return
	}
	p.close()
}

func (p *pipe) close() {
	closeDescriptor(p.from)
	closeDescriptor(p.to)
}

// splices tells whether the rest of an answer goes through a pipe, from now on.
func (l *loop) splices(x *exchange) bool {
	if x.pipe == nil && x.body.kind == byLength && x.body.left >= spliceFrom && !x.chunked {
		x.pipe = l.newPipe()
	}
	return x.pipe != nil
}

// splice passes on what has come of a body.
func (l *loop) splice(x *exchange) {
	c, u, p := x.client, x.link, x.pipe
	for turn := 0; ; turn++ {
		for p.holds > 0 {
			more := 0
			if x.body.left > 0 {
				more = unix.SPLICE_F_MORE
			}
			n, errno := splice(p.from, int(c.fd), p.holds, more)
			l.tally.counters[Bytes] += uint64(n)
			p.holds -= int64(n)
			switch {
			case errno == again || errno == 0 && n == 0:
				c.out = l.newOutput() // It is the client who has to go on.
				l.wheel.set(u, never)
				l.block(c)
				return
			case errno != 0:
				l.tally.counters[Resets]++
				l.drop(c)
				return
			}
		}
		if x.body.left == 0 {
			l.answered(x, true)
			return
		}
		if turn == maxTurns {
			l.later = append(l.later, u.key)
			return
		}
		u.more = false
		n, errno := splice(int(u.fd), p.to, min(x.body.left, pipeSize), 0)
		switch {
		case errno == again:
			l.awaitMore(x)
			return
		case errno != 0 || n == 0:
			l.answerFails(x, backend.ErrNoAnswer)
			return
		}
		p.holds += int64(n)
		x.bytes += int64(n)
		x.body.left -= int64(n)
	}
}

// splice moves as much as there is, and as there is room for. Raw.
func splice(from, to int, n int64, flags int) (int, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
		uintptr(unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|flags))
	return count(r, errno), errno
}
