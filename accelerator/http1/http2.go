package http1

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// preface is what an HTTP/2 connection begins with, RFC 9113 §3.4. A client that
// sends it without having asked has prior knowledge (§3.3).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// begin looks at the first bytes of a connection, which it keeps until they tell
// HTTP/2 from HTTP/1. It reports whether b is all that there is of them, so that
// the caller may go on with it.
//
// The whole preface, as the very first bytes, makes the connection raw: net/http
// takes exactly that for HTTP/2 and never looks for HTTP/1 on it again. All else,
// a part of the preface too, is HTTP/1 and goes to the framer, which refuses it.
func (c *conn) begin(b []byte) (goOn bool) {
	c.early = append(c.early, b...)
	switch {
	case len(c.early) < len(preface) && strings.HasPrefix(preface, string(c.early)):
		return false
	case bytes.HasPrefix(c.early, []byte(preface)):
		c.l.Stats.HTTP2.Add(1)
		c.release()
	case len(c.early) == len(b):
		c.begun, c.early = true, nil
		return true
	}
	c.held = append(c.early, c.held...)
	c.begun, c.early = true, nil
	return false
}

// Check judges a request that did not come by HTTP/1 as if it had: what may not be
// in the head of an HTTP/1 request must not get into one by way of HTTP/2, which
// has no lines that could be broken. A request that is refused is counted.
//
// Of the framing fields only a Content-Length that is true is good: HTTP/2 frames by
// itself (RFC 9113 §8.1.1), net/http refuses the others, and whoever passes the
// request on frames it anew.
func (l *Listener) Check(r *http.Request) Reason {
	l.init()
	why := l.check(r)
	if why != None {
		l.Stats.Refused[why].Add(1)
	}
	return why
}

func (l *Listener) check(r *http.Request) Reason {
	if !strings.HasPrefix(r.RequestURI, "/") && r.RequestURI != "*" && r.Method != http.MethodConnect {
		return BadRequestLine // RFC 9113 §8.3.1
	}
	switch lengths := r.Header["Content-Length"]; {
	case len(lengths) > 1:
		return LengthRepeated
	case len(lengths) == 1 && lengths[0] != strconv.FormatInt(r.ContentLength, 10):
		return LengthMalformed
	}
	var head strings.Builder
	head.WriteString(r.Method + " " + r.RequestURI + " HTTP/1.1\r\n")
	if r.Host != "" {
		head.WriteString("Host: " + r.Host + "\r\n")
	}
	for name, values := range r.Header {
		if slices.Contains([]string{"Host", "Content-Length", "Trailer"}, name) {
			continue
		}
		for _, v := range values {
			head.WriteString(name + ": " + v + "\r\n")
		}
	}
	head.WriteString("\r\n")
	f := framer{headBytes: l.limits.HeadBytes, headFields: l.limits.HeadFields}
	skipped, n, why := f.scan([]byte(head.String()))
	if why == None && (skipped > 0 || n != head.Len() || f.messages != 1) {
		why = BadRequestLine // It was more than one, or not yet all of one.
	}
	return why
}
