package eventloop

import (
	"bytes"

	"ramjet/accelerator/backend"
)

// HashOn is what requests that belong together have in common.
type HashOn uint8

// What the key of a request can be made of.
const (
	HashNothing HashOn = iota
	HashAddress        // the client's address
	HashPath           // the decoded path, without the query
	HashHeader         // a header field
	HashCookie         // a cookie
)

// choose sets what a request wants of its pool, as the complete tier has it. b
// begins with its head. It reports the backend that its cookie names.
func (l *loop) choose(c *conn, r *request, b []byte, farm *Farm) (stayed *backend.Backend) {
	l.choice.Key, l.choice.Stay = 0, nil
	if key := l.keyOf(c, r, b, farm); len(key) > 0 {
		l.choice.Key = backend.Key(text(key))
	}
	if farm.Sticky != "" {
		l.choice.Stay = farm.Pool.ByID(text(cookieValue(r.cookie, farm.Sticky)))
	}
	return l.choice.Stay
}

// keyOf is the text that requests which belong together share.
func (l *loop) keyOf(c *conn, r *request, b []byte, farm *Farm) []byte {
	switch farm.HashOn {
	case HashAddress:
		return c.from.AppendTo(l.key[:0])
	case HashPath:
		if r.escaped {
			return l.path
		}
		return r.path
	case HashHeader:
		return fieldValue(b[r.fields:r.size], farm.HashName)
	case HashCookie:
		return cookieValue(r.cookie, farm.HashName)
	}
	return nil
}

// cookieValue returns the value of a cookie (RFC 6265 §4.2), nil if there is none. What
// is a cookie, and what of it the value, is as for net/http: the complete tier has to
// choose the same backend.
func cookieValue(cookies []byte, name string) []byte {
	for len(cookies) > 0 {
		var pair []byte
		pair, cookies, _ = bytes.Cut(cookies, semicolon)
		key, value, _ := bytes.Cut(bytes.Trim(pair, " \t"), equals)
		if string(bytes.Trim(key, " \t")) != name {
			continue
		}
		if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		if !bytes.ContainsFunc(value, oddInCookie) {
			return value
		}
	}
	return nil
}

// oddInCookie tells what cannot be in the value of a cookie.
func oddInCookie(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }

var semicolon, equals = []byte{';'}, []byte{'='}

// fieldValue returns the value of the first field of a name, nil if there is none.
// The fields have been parsed before.
func fieldValue(fields []byte, name string) []byte {
	for len(fields) > 0 {
		line, next := nextLine(fields, 0)
		if next < 0 {
			break
		}
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.Trim(line[len(name)+1:], " \t")
		}
		fields = fields[next:]
	}
	return nil
}

// appendCookie tells the client which backend it was sent to, if that is news to
// it. Then the answer is for this client alone (RFC 9111 §5.2.2.7).
func (x *exchange) appendCookie(b []byte, r *reply) []byte {
	if x.farm.Sticky == "" || x.stayed == x.backend {
		return b
	}
	b = append(b, "Set-Cookie: "...)
	b = append(b, x.farm.Sticky...)
	b = append(b, '=')
	b = append(b, x.backend.ID()...)
	b = append(b, "; Path=/; HttpOnly; SameSite=Lax\r\n"...)
	if !r.controlled {
		b = append(b, "Cache-Control: private\r\n"...)
	}
	return b
}
