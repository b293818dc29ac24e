package http1

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"ramjet/accelerator/proxyproto"
)

// ends is between whom a connection is. With a header of the PROXY protocol before
// the first byte it is not known until that has been read, which is done by
// whoever asks first: net/http does before it reads, and in a goroutine of the
// connection.
type ends struct {
	expected bool // there is a header; immutable
	once     sync.Once

	client, server net.Addr // as the header says, nil for those of the socket; set by once

	mu      sync.Mutex // guards what follows
	counted netip.Addr // by the Limiter; the zero Addr: not yet
	closed  bool
}

// proxied reports whether connections from there begin with a header.
func (l *Listener) proxied(from netip.Addr) bool {
	from = from.Unmap()
	for _, n := range l.ProxyFrom {
		if n.Contains(from) {
			return true
		}
	}
	return false
}

// counts returns the address by which a connection is counted until more is known.
func (l *Listener) counts(from netip.Addr) netip.Addr {
	if l.proxied(from) {
		return netip.Addr{}
	}
	return from
}

// RemoteAddr returns the client's address.
func (c *conn) RemoteAddr() net.Addr {
	if c.identify(); c.ends.client != nil {
		return c.ends.client
	}
	return c.TCPConn.RemoteAddr()
}

// LocalAddr returns the address that the client connected to.
func (c *conn) LocalAddr() net.Addr {
	if c.identify(); c.ends.server != nil {
		return c.ends.server
	}
	return c.TCPConn.LocalAddr()
}

// identify reads the header, if there is one to be read.
func (c *conn) identify() {
	if c.ends.expected {
		c.ends.once.Do(func() {
			if !c.readHeader() {
				c.mu.Lock()
				c.held, c.readErr = nil, io.EOF // net/http closes without a word.
				c.mu.Unlock()
			}
		})
	}
}

// readHeader reads the header within the time for a head, and counts the client
// that it names.
func (c *conn) readHeader() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.in.arm(c.l.limits.HeadTime); err != nil {
		return false
	}
	var buf [proxyproto.MaxSize]byte
	have := copy(buf[:], c.held)
	h, size, err := proxyproto.Parse(buf[:have])
	for size == 0 && err == nil {
		var n int
		n, err = c.TCPConn.Read(buf[have:])
		if have+n == 0 && errors.Is(err, io.EOF) {
			return false // It has said nothing, and is not wrong.
		}
		if have += n; n > 0 {
			h, size, err = proxyproto.Parse(buf[:have])
		}
	}
	if err != nil {
		c.l.Stats.Refused[BadProxyHeader].Add(1)
		return false
	}
	if err := c.in.arm(0); err != nil {
		return false
	}
	c.held = append([]byte(nil), buf[size:have]...)
	client := remote(c.TCPConn)
	if h.Known() {
		c.ends.client, c.ends.server = net.TCPAddrFromAddrPort(h.Source), net.TCPAddrFromAddrPort(h.Destination)
		client = h.Source.Addr()
	}
	return c.countAs(client)
}

// countAs has the connection count for a client from now on, unless that has too
// many.
func (c *conn) countAs(client netip.Addr) bool {
	c.ends.mu.Lock()
	defer c.ends.mu.Unlock()
	if c.ends.closed {
		return false
	}
	if !c.l.Limiter.Identify(client) {
		c.l.Stats.Crowded.Add(1)
		return false
	}
	c.ends.counted = client
	return true
}

// discount gives the slot back.
func (c *conn) discount() {
	c.ends.mu.Lock()
	c.ends.closed = true
	counted := c.ends.counted
	c.ends.mu.Unlock()
	c.l.Limiter.Release(counted)
}
