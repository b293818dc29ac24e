package eventloop

import (
	"bytes"
	"strconv"
)

// pseudonym is our name in Via (RFC 9110 §7.6.3), as the complete tier has it.
const pseudonym = "ramjet"

// appendRequest writes the head of a request as a backend gets it (RFC 9110 §7.6):
// the target and the fields as they were received, without those that are about
// the client's connection, or that a client might have forged; then ours. The
// length of the body is written by us, from the number that was read.
func (x *exchange) appendRequest(b []byte, r *request, head []byte) []byte {
	b = append(b, methods[r.method]...)
	b = append(b, r.target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	if x.farm.RewriteHost {
		b = append(b, x.backend.Origin.Host...)
	} else {
		b = append(b, r.host...)
	}
	b = append(b, "\r\n"...)
	at := r.fields
	for _, cut := range r.cuts[:r.numCuts] {
		b = append(b, head[at:cut.from]...)
		at = cut.to
	}
	b = append(b, head[at:r.size-len("\r\n")]...)
	if r.length >= 0 || r.method.hasBody() { // RFC 9110 §8.6
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, max(r.length, 0), 10)
		b = append(b, "\r\n"...)
	}
	if len(r.upgrade) > 0 {
		b = append(b, "Upgrade: "...)
		b = append(b, r.upgrade...)
		b = append(b, "\r\nConnection: Upgrade\r\n"...)
	}
	b = x.appendIdentity(b, r)
	return append(b, "Via: 1.1 "+pseudonym+"\r\n\r\n"...)
}

// appendIdentity writes the fields that say who asks. What came is only heeded if it
// is from a proxy in front that is trusted: we are one more in its line.
func (x *exchange) appendIdentity(b []byte, r *request) []byte {
	from := x.client.from
	believed := x.farm.trusts(from)
	if x.farm.XForwarded {
		host, proto := r.host, "http"
		b = append(b, "X-Forwarded-For: "...)
		if believed && r.forwardedFor != nil {
			b = append(b, r.forwardedFor...)
			b = append(b, ", "...)
		}
		if believed && len(r.forwardedHost) > 0 {
			host = r.forwardedHost
		}
		if believed && string(r.forwardedProto) == "https" {
			proto = "https"
		}
		b = from.AppendTo(b)
		b = append(b, "\r\nX-Forwarded-Host: "...)
		b = append(b, host...)
		b = append(b, "\r\nX-Forwarded-Proto: "...)
		b = append(b, proto...)
		b = append(b, "\r\n"...)
	}
	if x.farm.Forwarded {
		b = append(b, "Forwarded: "...)
		if believed && r.forwarded != nil {
			b = append(b, r.forwarded...)
			b = append(b, ", "...)
		}
		b = append(b, "for="...)
		if from.Is4() {
			b = from.AppendTo(b)
		} else {
			b = append(b, `"[`...)
			b = from.AppendTo(b)
			b = append(b, `]"`...)
		}
		b = append(b, `;host="`...)
		b = append(b, r.host...) // A plain host has nothing to be quoted.
		b = append(b, "\";proto=http\r\n"...)
	}
	return b
}

// appendReply writes the head of an answer as the client gets it. The length of
// the body, or that it comes in chunks, is written by us.
func (l *loop) appendReply(b []byte, x *exchange, r *reply) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	b = append(b, r.reason...)
	b = append(b, "\r\n"...)
	for _, line := range r.lines {
		b = append(b, line...)
		b = append(b, "\r\n"...)
	}
	if r.status >= 200 {
		b = x.appendCookie(b, r)
		if !r.dated {
			b = append(b, l.clock.date...)
		}
		if r.coded {
			b = appendNames(b, "Trailer: ", r.trailer)
		}
		switch {
		case x.chunked:
			b = append(b, "Transfer-Encoding: chunked\r\n"...)
		case r.length >= 0 && r.status != 204 && r.status != 304:
			b = append(b, "Content-Length: "...)
			b = strconv.AppendInt(b, r.length, 10)
			b = append(b, "\r\n"...)
		}
		if x.close {
			b = append(b, "Connection: close\r\n"...)
		}
	}
	if r.status == 101 {
		b = append(b, "Upgrade: "...)
		b = append(b, r.upgrade...)
		b = append(b, "\r\nConnection: Upgrade\r\n"...)
	}
	b = append(b, "Via: 1."...)
	b = append(b, '0'+r.minor)
	return append(b, " "+pseudonym+"\r\n\r\n"...)
}

// appendNames writes a field whose value is a list, without its empty elements (RFC 9110
// §5.6.1), and nothing if there are no others.
func appendNames(b []byte, name string, list []byte) []byte {
	between := name
	for more := true; more; {
		var element []byte
		element, list, more = bytes.Cut(list, comma)
		if element = bytes.Trim(element, " \t"); len(element) > 0 {
			b = append(b, between...)
			b = append(b, element...)
			between = ", "
		}
	}
	if between != name {
		b = append(b, "\r\n"...)
	}
	return b
}
