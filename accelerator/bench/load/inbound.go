package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// inbound is a connection that a proxy has made to the backend.
type inbound struct {
	fd      int
	partial []byte // of a head or frame that has not come whole
	unsent  []byte
	socket  bool // a WebSocket by now
	last    bool // ends when all is sent

	// The request whose body is coming.
	target string
	length int // of the body
	left   int // of it, to come
}

var (
	errEnded   = errors.New("the connection has ended")
	errTooLong = errors.New("a head or a frame is too long")
)

// serve handles what happened on a connection. After an error it is useless.
func (c *inbound) serve(b *Backend, events uint32) error {
	if err := c.send(nil); err != nil {
		return err
	}
	for {
		n, again, err := receive(c.fd, b.buffer, 0)
		switch {
		case err != nil:
			return err
		case again:
			return nil
		case n == 0 || c.last:
			return errEnded
		}
		if err := c.take(b, b.buffer[:n]); err != nil {
			return err
		}
		// Drained; what comes later is a new event. An end that has come with the
		// last bytes is not.
		if n < len(b.buffer) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return nil
		}
	}
}

// send sends what it can, and the rest when there is room.
func (c *inbound) send(more []byte) error {
	if len(c.unsent) > 0 {
		more = append(c.unsent[:len(c.unsent):len(c.unsent)], more...)
	}
	if len(more) == 0 {
		return nil
	}
	n, err := send(c.fd, more)
	c.unsent = more[n:]
	if err == nil && len(c.unsent) == 0 && c.last {
		return errEnded
	}
	return err
}

// take handles bytes that came.
func (c *inbound) take(b *Backend, came []byte) error {
	if len(c.partial) > 0 {
		c.partial = append(c.partial, came...)
		came = c.partial
	}
	for len(came) > 0 {
		n, err := c.step(b, came)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		came = came[n:]
	}
	if len(came) > len(b.buffer) {
		return errTooLong
	}
	c.partial = append(c.partial[:0], came...)
	return nil
}

// step handles the next part of what came, and returns its length, or 0 if it is
// not there as a whole.
func (c *inbound) step(b *Backend, came []byte) (int, error) {
	switch {
	case c.left > 0:
		n, done := min(c.left, len(came)), c.length-c.left
		if !bytes.Equal(came[:n], b.content[done:done+n]) {
			return n, c.refuse("the body is not Content")
		}
		if c.left -= n; c.left == 0 {
			return n, c.answer(b, c.target)
		}
		return n, nil
	case c.socket:
		reply, n, err := echo(b.reply[:0], came)
		if err != nil || n == 0 {
			return n, err
		}
		b.reply = reply
		if err := c.send(reply); err != nil {
			return n, err
		}
		c.unsent = bytes.Clone(c.unsent) // The reply's room is for all.
		return n, nil
	}
	end := bytes.Index(came, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	return end + 4, c.request(b, came[:end])
}

// request handles a head.
func (c *inbound) request(b *Backend, head []byte) error {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	if string(version) != "HTTP/1.1" {
		return c.refuse("the request is not HTTP/1.1, which keeps its connection")
	}
	if string(method) == "GET" {
		switch string(target) {
		case "/cgi-bin/socket":
			return c.upgrade(fields)
		case "/cgi-bin/seen":
			return c.send(response("200 OK", head))
		}
		return c.answer(b, string(target))
	}
	length, err := strconv.Atoi(field(fields, "Content-Length"))
	if string(method) != "POST" || err != nil || length < 1 || length > contentMost {
		return c.refuse("it is neither a GET nor a POST with a length")
	}
	c.target, c.length, c.left = string(target), length, length
	return nil
}

// answer sends what a target stands for.
func (c *inbound) answer(b *Backend, target string) error {
	ready := b.answers[target]
	if ready == nil {
		number, found := strings.CutPrefix(target, "/cgi-bin/bytes/")
		size, err := strconv.Atoi(number)
		if !found || err != nil || size < 0 || size > contentMost {
			return c.refuse("there is no " + target)
		}
		ready = response("200 OK", b.content[:size])
		b.answers[target] = ready
	}
	return c.send(ready)
}

// refuse answers that something is wrong, so that whoever reads the answer
// learns it, and ends the connection.
func (c *inbound) refuse(why string) error {
	c.last = true
	return c.send(response("400 Bad Request", []byte(why)))
}

// upgrade makes the connection a WebSocket.
func (c *inbound) upgrade(fields []byte) error {
	key := field(fields, "Sec-WebSocket-Key")
	if !strings.EqualFold(field(fields, "Upgrade"), "websocket") || key == "" {
		return c.refuse("the upgrade was lost on the way")
	}
	c.socket = true
	return c.send(fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accepted(key)))
}

// response is a whole answer.
func response(status string, body []byte) []byte {
	head := fmt.Appendf(nil, "HTTP/1.1 %s\r\nServer: backend\r\nDate: %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n",
		status, time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), len(body))
	return append(head, body...)
}

// field returns the value of a field of a head, or nothing.
func field(fields []byte, name string) string {
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		if n, value, _ := bytes.Cut(line, []byte(":")); strings.EqualFold(string(n), name) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
