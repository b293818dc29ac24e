package eventloop

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptAtOnce bounds the connections accepted in one turn.
	acceptAtOnce = 64
	// queueTurns bounds the turns that empty the kernel's queue at the end. Linux
	// lets 4,096 connections wait (net.core.somaxconn).
	queueTurns = 4096 / acceptAtOnce
	// acceptPause is how long nothing is accepted when the process or the machine
	// has no descriptor or no memory left. Clients wait in the kernel's queue.
	acceptPause = 100 * time.Millisecond
)

// accept takes connections from the kernel's queue. With TCP_DEFER_ACCEPT they
// come with their first request, so each is read from at once: one that closes
// with its answer never enters the epoll set. It reports whether more may wait.
func (l *loop) accept() (more bool) {
	limiter := l.server.Limiter
	for range acceptAtOnce {
		if !limiter.Reserve() {
			l.deafen(never)
			return false
		}
		fd, from, errno := accept(l.listener)
		if errno != 0 {
			limiter.Cancel()
			switch errno {
			case again:
				return false
			case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
				l.exhausted(errno)
				return false
			}
			continue // That client went away (accept(2): treat them like EAGAIN).
		}
		proxied := l.server.proxied(from)
		if proxied {
			from = netip.Addr{} // Whose it is will be known later.
		}
		if !limiter.Admit(from) {
			l.tally.counters[Crowded]++
			closeDescriptor(fd)
			continue
		}
		l.tally.counters[Accepted]++
		c := l.add(handed{fd: fd, from: from})
		if proxied {
			l.handOff(c, nil, ProxyHeader)
			continue
		}
		l.read(c)
	}
	return true
}

// exhausted is for when there is no descriptor for a connection. The one that
// waits longest is accepted with the reserve and closed, so that a client learns
// of it and can go elsewhere; the others wait.
func (l *loop) exhausted(errno error) {
	l.tally.counters[AcceptErrors]++
	if l.tally.counters[AcceptErrors] == 1 {
		l.server.Log.Warn("cannot accept connections, trying again; see limits.connections and the limit of open files", "err", errno)
	}
	if l.reserve >= 0 {
		closeDescriptor(l.reserve)
		if fd, _, errno := accept(l.listener); errno == 0 {
			closeDescriptor(fd)
		}
	}
	l.reserve = newReserve()
	l.deafen(l.clock.now + int64(acceptPause))
}

// deafen stops accepting until a time, or until there is room.
func (l *loop) deafen(until int64) {
	l.hearAt = until
	if !l.deaf && l.listener >= 0 {
		l.deaf = true
		watch(l.epoll, unix.EPOLL_CTL_MOD, l.listener, 0, listenerKey)
	}
}

// hear accepts again.
func (l *loop) hear() {
	if l.deaf && l.listener >= 0 {
		l.deaf = false
		watch(l.epoll, unix.EPOLL_CTL_MOD, l.listener, unix.EPOLLIN, listenerKey)
	}
}

// lighter returns the loop that has the fewest connections, if that is so much
// fewer than l that c, a connection which is going to stay, should go there. The
// kernel spreads connections by a hash: of a few long ones, all may come to the
// same loop.
func (s *Server) lighter(l *loop, c *conn) *loop {
	if len(s.loops) == 1 {
		return nil
	}
	best, least := l, l.kept.Load()
	if c.watched {
		least-- // The others.
	}
	mine := least
	for _, other := range s.loops {
		if n := other.kept.Load(); n < least {
			best, least = other, n
		}
	}
	if best == l || mine <= least+least/8 {
		return nil
	}
	return best
}

// give gives a connection that is going to stay to another loop, with the
// beginning of its next request, and reports whether that took it.
func (l *loop) give(c *conn, rest []byte, other *loop) bool {
	h := handed{fd: int(c.fd), from: c.from, unread: append([]byte(nil), rest...), served: c.served}
	if c.watched { // Before the descriptor is somebody else's.
		watch(l.epoll, unix.EPOLL_CTL_DEL, h.fd, 0, key{})
		c.watched = false
		l.kept.Add(-1)
	}
	other.kept.Add(1)
	if !other.inbox.post(message{taken: &h}, other.bell) {
		other.kept.Add(-1)
		return false
	}
	l.tally.counters[Moved]++
	l.release(c)
	return true
}

// take goes on with a connection that another loop gave.
func (l *loop) take(h *handed) {
	c := l.add(*h)
	c.stays = true
	l.save(c, h.unread)
	l.watch(c)
	l.kept.Add(-1) // It was counted when it was given.
	if len(h.unread) == 0 {
		l.enter(c, idle)
	}
}
