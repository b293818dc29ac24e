package http1

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// waitForPeer waits, on behalf of net/http's background read, for the client to
// go away or for the deadline, and reads nothing. net/http ends it by a deadline
// in the past, both when the handler takes the connection over and when it returns.
func (c *conn) waitForPeer() error {
	if err := c.in.arm(0); err != nil {
		return err
	}
	raw, err := c.TCPConn.SyscallConn()
	if err != nil {
		return err
	}
	var end error
	err = raw.Read(func(fd uintptr) (done bool) {
		if len(c.held) > 0 {
			return false
		}
		var b [1]byte
		switch n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); {
		case err == unix.EAGAIN || err == unix.EINTR || n > 0:
			return false
		case err != nil:
			end = fmt.Errorf("recvfrom: %w", err)
		default:
			end = io.EOF
		}
		return true
	})
	if err != nil {
		return err
	}
	return end
}

// release makes the connection raw: the handler has taken it over. From now on
// no read has a stall deadline; a peer that takes no byte is the kernel's
// business, tcp(7) TCP_USER_TIMEOUT, since a splice cannot be interrupted
// without losing bytes.
func (c *conn) release() {
	c.in.arm(0)
	c.out.arm(0)
	if stall := c.l.limits.WriteStall; stall > 0 {
		if raw, err := c.TCPConn.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) {
				// On failure the tunnel has the kernel's own, longer patience.
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stall/time.Millisecond))
			})
		}
	}
	c.tunnel.Store(true)
}

// readTunnel reads what was held back, then the socket. A connection that was
// refused before the handler took it over gives nothing.
func (c *conn) readTunnel(p []byte) (int, error) {
	c.mu.Lock()
	if c.readErr != nil {
		c.mu.Unlock()
		return 0, c.readErr
	}
	if len(c.held) > 0 {
		n := c.unhold(p)
		c.mu.Unlock()
		return n, nil
	}
	c.mu.Unlock()
	return c.TCPConn.Read(p)
}

// WriteTo copies checked bytes to w; in a tunnel it may splice.
func (c *conn) WriteTo(w io.Writer) (int64, error) {
	if !c.tunnel.Load() {
		return io.Copy(w, struct{ io.Reader }{c})
	}
	c.mu.Lock()
	held, err := c.held, c.readErr
	c.held = nil
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	var early int
	if len(held) > 0 {
		if early, err = w.Write(held); err != nil {
			return int64(early), err
		}
	}
	n, err := c.TCPConn.WriteTo(w)
	return int64(early) + n, err
}
