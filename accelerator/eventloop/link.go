package eventloop

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/backend"
)

// A link is a connection to a backend: a conn in the states linking, unused,
// asking or tunnelled. It is in the epoll set from its beginning to its end, and
// between two exchanges in the loop's list of those that are unused.

// maxUnused bounds the unused links to one backend.
const maxUnused = 1024

// linked is a link that was made, or was not.
type linked struct {
	client  key // for whom
	farm    *Farm
	backend *backend.Backend
	fd      int
	err     error
}

// dial has a link made for an exchange. It is rare, for links are used again.
func (l *loop) dial(x *exchange) {
	c := x.client
	x.fresh = true
	x.course.dialed = l.clock.now
	c.state = connecting
	l.wheel.set(c, never) // The link has a limit.
	network, address, err := x.backend.Endpoint()
	if to, bad := netip.ParseAddrPort(address); err == nil && bad == nil && network == "tcp" {
		l.connect(x, to)
		return
	}
	// The resolver may take its time, so it is done elsewhere.
	m := &linked{client: c.key, farm: x.farm, backend: x.backend}
	go func() {
		m.fd, m.err = m.farm.dial(m.backend)
		if !l.inbox.post(message{linked: m}, l.bell) && m.err == nil {
			closeDescriptor(m.fd)
		}
	}()
}

// connect makes a link to an address.
func (l *loop) connect(x *exchange, to netip.AddrPort) {
	fd, errno := connect(to)
	if errno != 0 {
		l.linkFails(x, errno)
		return
	}
	u := l.addLink(&linked{farm: x.farm, backend: x.backend, fd: fd})
	if u == nil {
		l.linkFails(x, syscall.ENOMEM)
		return
	}
	u.state, u.x, x.link = linking, x, u
	if x.farm.Connect > 0 {
		l.wheel.set(u, l.clock.now+int64(x.farm.Connect))
	} else {
		l.wheel.set(u, never)
	}
}

// linkUp is told that a connection was made, or was not.
func (l *loop) linkUp(u *conn) {
	x := u.x
	if errno := failure(int(u.fd)); errno != 0 {
		l.linkFails(x, errno)
		return
	}
	l.linked(x, u)
}

// linkTooSlow is for a backend that does not accept a connection in time.
func (l *loop) linkTooSlow(u *conn) { l.linkFails(u.x, backend.ErrConnect) }

// linkFails gives a request to the complete tier that could not be sent.
func (l *loop) linkFails(x *exchange, err error) {
	if x.link != nil {
		l.hangUp(x.link)
		x.link = nil
	}
	l.giveUp(x.client, x, &backend.Attempt{Backend: x.backend, Err: err})
}

// linked goes on with an exchange that has its link.
func (l *loop) linked(x *exchange, u *conn) {
	x.course.connect = l.since(x.course.dialed)
	c := x.client
	body := c.in[:min(int64(len(c.in)), x.want)]
	l.send(x, u, body)
	if c.x != x {
		return
	}
	c.in = c.in[:copy(c.in, c.in[len(body):])]
	if c.more || c.ended {
		l.feed(c)
	}
}

// dial makes a connection, and returns a descriptor that Go's poller knows nothing of.
func (f *Farm) dial(b *backend.Backend) (fd int, err error) {
	c, err := f.Dial(context.Background(), b)
	if err != nil {
		return -1, err
	}
	defer c.Close()
	filer, ok := c.(interface{ File() (*os.File, error) })
	if !ok {
		return -1, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EPROTONOSUPPORT}
	}
	file, err := filer.File()
	if err != nil {
		return -1, err
	}
	defer file.Close()
	return duplicate(file)
}

// linkMade goes on with the exchange that waits for a link which was made elsewhere.
func (l *loop) linkMade(m *linked) {
	c := l.lookup(m.client)
	waits := c != nil && c.state == connecting && c.x.backend == m.backend
	if m.err != nil {
		if waits {
			l.linkFails(c.x, m.err)
		}
		return
	}
	link := l.addLink(m)
	switch {
	case link != nil && waits:
		l.linked(c.x, link)
	case link != nil:
		l.keepLink(link)
	case waits:
		l.linkFails(c.x, syscall.ENOMEM)
	}
}

// addLink makes a conn of a new link.
func (l *loop) addLink(m *linked) *conn {
	k := l.slot()
	u := l.slots[k.slot]
	*u = conn{key: k, fd: int32(m.fd), spoke: -1, state: unused, backend: m.backend, keepAlive: int64(m.farm.KeepAlive)}
	const events = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	if errno := watch(l.epoll, unix.EPOLL_CTL_ADD, m.fd, events, u.key); errno != 0 {
		l.server.Log.Error("cannot watch a connection to a backend", "err", errno)
		l.hangUp(u)
		return nil
	}
	return u
}

// unused returns an unused link to a backend, nil if there is none.
func (l *loop) unused(b *backend.Backend) *conn {
	links := l.links[b]
	if len(links) == 0 {
		return nil
	}
	u := links[len(links)-1] // The one that was used last: the backend has had the least time to close it.
	l.links[b] = links[:len(links)-1]
	return u
}

// keepLink keeps a link to be used again.
func (l *loop) keepLink(u *conn) {
	links := l.links[u.backend]
	if len(links) >= maxUnused || u.ended || u.backend.Draining() {
		l.hangUp(u)
		return
	}
	u.state, u.x = unused, nil
	l.links[u.backend] = append(links, u)
	l.wheel.set(u, l.clock.now+u.keepAlive)
}

// linkTalks is for an unused link on which something comes: its end, or what
// nobody has asked for.
func (l *loop) linkTalks(u *conn) {
	if _, errno := peek(int(u.fd), l.probe[:]); errno != again {
		l.linkTooOld(u)
	}
}

// closeUnused ends the unused links to a backend.
func (l *loop) closeUnused(b *backend.Backend) {
	for len(l.links[b]) > 0 {
		l.linkTooOld(l.links[b][0])
	}
}

// linkTooOld ends an unused link.
func (l *loop) linkTooOld(u *conn) {
	links := l.links[u.backend]
	if i := slices.Index(links, u); i >= 0 {
		l.links[u.backend] = slices.Delete(links, i, i+1)
	}
	l.hangUp(u)
}

// hangUp ends a link.
func (l *loop) hangUp(u *conn) {
	if u.out != nil {
		l.forget(u)
	}
	if len(l.links[u.backend]) == 0 {
		delete(l.links, u.backend) // It may have left the farm.
	}
	l.wheel.remove(u)
	closeDescriptor(int(u.fd))
	u.state, u.in, u.x = gone, nil, nil
	l.free = append(l.free, u.slot)
}

// endLinks ends all of them, and what they were used with.
func (l *loop) endLinks() {
	for _, u := range l.slots {
		if u.backend != nil && u.state != gone {
			l.hangUp(u)
		}
	}
	for _, p := range l.pipes {
		p.close()
	}
	l.pipes = nil
}
