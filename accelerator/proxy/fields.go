package proxy

import (
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// pseudonym is our name in Via, RFC 9110 §7.6.3. All boxes have the same, so
	// that it tells nothing about the network behind.
	pseudonym = "ramjet"

	// maxTimesThrough is how often a request may have passed a box before it is
	// taken for a loop. More than one is legitimate: a box in front of boxes.
	maxTimesThrough = 3
)

// via is our own entry of Via for a message received in the given version.
func via(major, minor int) string {
	if major > 1 {
		return strconv.Itoa(major) + " " + pseudonym
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor) + " " + pseudonym
}

// timesThrough counts our own name in the values of Via.
func timesThrough(values []string) int {
	n := 0
	for _, v := range values {
		for entry := range strings.SplitSeq(v, ",") {
			_, by, _ := strings.Cut(strings.TrimSpace(entry), " ")
			by, _, _ = strings.Cut(strings.TrimSpace(by), " ") // a comment may follow
			if strings.EqualFold(by, pseudonym) {
				n++
			}
		}
	}
	return n
}

// received is the request as ReverseProxy may see it: without the fields that
// are to be ignored. The header of r itself is not changed.
func received(r *http.Request) http.Header {
	h := r.Header
	drop := func(name string) {
		if _, ok := h[name]; ok {
			h = h.Clone()
			delete(h, name)
		}
	}
	if !r.ProtoAtLeast(1, 1) {
		drop("Expect")  // RFC 9110 §10.1.1
		drop("Upgrade") // RFC 9110 §7.8
	}
	// A tunnel to an HTTP/2 server would carry requests past everything that is
	// decided here per request. RFC 9113 §3.1 has done away with it.
	if httpguts.HeaderValuesContainsToken(h["Upgrade"], "h2c") {
		drop("Upgrade")
		drop("Http2-Settings")
	}
	return h
}

// ours are the request's fields that only we write for a backend.
var ours = FieldChanges{Remove: []string{"Content-Length", "Transfer-Encoding", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}}

// rewrite does to the header what a proxy has to do beyond what ReverseProxy
// has done already.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	h := pr.Out.Header
	x.proxy.identify(pr)
	h.Add("Via", via(pr.In.ProtoMajor, pr.In.ProtoMinor))
	ours.dropDoubles(h)
	x.changes.Request.dropDoubles(h)
	x.changes.Request.apply(h)
	if x.proxy.RewriteHost {
		pr.Out.Host = ""
	}
	if x.body != nil {
		pr.Out.Trailer = x.body.trailer
	}
	allowRetry(pr.Out)
}

// allowRetry tells the transport which requests may be sent again when a
// kept-alive connection dies before a byte of answer: those with an idempotent
// method (RFC 9110 §9.2.2) and no body. The transport knows of GET, HEAD,
// OPTIONS and TRACE by itself, and takes any request with an Idempotency-Key
// for another. A key without a value stands for one, and is not sent; a key
// spelled otherwise is sent, and not seen.
func allowRetry(out *http.Request) {
	switch out.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	case http.MethodPut, http.MethodDelete:
		if _, ok := out.Header["Idempotency-Key"]; !ok {
			out.Header["Idempotency-Key"] = []string{}
		}
	default:
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if v, ok := out.Header[name]; ok {
				delete(out.Header, name)
				out.Header[strings.ToLower(name)] = v
			}
		}
	}
}

// upgrade is the protocol that a message wants to change to, or "".
func upgrade(h http.Header) string {
	if !httpguts.HeaderValuesContainsToken(h["Connection"], "Upgrade") {
		return ""
	}
	return h.Get("Upgrade")
}

// connectionFields are the fields about a connection that must not be passed on
// with an informational answer; ReverseProxy removes them from the others.
var connectionFields = [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Trailer"}

// endToEndTrailer reports whether a trailer field of a request may be passed on.
// Fields for framing, routing and authentication may not (RFC 9110 §6.5.1): a
// backend could merge them into the header.
func endToEndTrailer(name string, values []string) bool {
	if !httpguts.ValidTrailerHeader(name) {
		return false
	}
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Upgrade", "Via", "Forwarded", "Cookie":
		return false
	}
	if ours.concerns(http.CanonicalHeaderKey(name)) {
		return false
	}
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			return false
		}
	}
	return true
}
