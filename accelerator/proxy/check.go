package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// What is looked at before an answer is passed on.

// maxInformational is how many informational answers may come before the final
// one. There is no good reason for more than a few.
const maxInformational = 64

// gotInformational is told of each of them, after ReverseProxy, which passes it on.
func (x *exchange) gotInformational(int, textproto.MIMEHeader) error {
	if x.informational++; x.informational > maxInformational {
		return errFlood
	}
	return nil
}

// check looks at the head of an answer before any of it is sent. When it
// returns an error the answer's body is closed, and fail is called.
func (x *exchange) check(res *http.Response) error {
	x.changes.Response.apply(res.Header)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.checkUpgrade(res)
	}
	if res.StatusCode < 200 {
		return fmt.Errorf("%w: %03d", errBadStatus, res.StatusCode)
	}
	x.answered = true
	if kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
		x.endless()
	}
	x.strike = overloaded(res.StatusCode)
	x.remember(res)
	res.Header.Add("Via", via(res.ProtoMajor, res.ProtoMinor))
	if res.Body != http.NoBody {
		x.answer = answerBody{ReadCloser: res.Body, idle: x.proxy.idle, stall: func() { x.cancel(errStalled) }}
		res.Body = &x.answer
	}
	return nil
}

// checkUpgrade looks at a 101, RFC 9110 §15.2.2. One that comes before the request is
// whole would make the rest of its body a part of the other protocol (§7.8).
func (x *exchange) checkUpgrade(res *http.Response) error {
	_, writable := res.Body.(io.Writer)
	asked, got := upgrade(res.Request.Header), upgrade(res.Header)
	if !writable || asked == "" || !strings.EqualFold(asked, got) {
		return fmt.Errorf("%w: %q, not %q", errUpgrade, got, asked)
	}
	if x.body.unread() {
		return fmt.Errorf("%w: %q, before it had the request", errUpgrade, got)
	}
	res.Header.Add("Via", via(res.ProtoMajor, res.ProtoMinor))
	x.tunnel = true
	x.endless()
	x.proxy.Counters.Tunnel(1)
	unlimit(x.conn)
	return nil
}

// printable reports whether a protocol's name can be a field's value.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
