package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// OriginForm makes of a request-target what is sent to a backend (RFC 9112
// §3.2): the origin-form as it is, byte for byte; of the absolute-form what
// follows the authority, which is in Host already; "*" for OPTIONS. It refuses
// everything else, and any byte that could end the request line early.
func OriginForm(method, target string) (string, bool) {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return "", false
		}
	}
	switch {
	case target == "*":
		return target, method == http.MethodOptions
	case strings.HasPrefix(target, "/"):
		return target, true
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", false
	}
	i := strings.IndexAny(rest, "/?#")
	switch {
	case i == 0 || rest == "":
		return "", false // no authority
	case i > 0 && rest[i] == '/':
		return rest[i:], true
	case i > 0:
		return "/" + rest[i:], true
	case method == http.MethodOptions:
		return "*", true // RFC 9112 §3.2.4
	}
	return "/", true
}

// setTarget makes u, which has a scheme and a host, one for which net/http
// writes target as request-target byte for byte. URL.Opaque does that, but for a
// target that begins with "//": there net/http would put "http:" before it. So
// such a target goes into the fields of its parts. Where these would be written
// differently, for it has bytes that RFC 3986 does not know, the backend gets it
// in absolute-form, in which the target is again as received; host is what is
// sent in Host.
func setTarget(u *url.URL, target, host string) {
	if !strings.HasPrefix(target, "//") {
		u.Opaque = target
		return
	}
	path, query, hasQuery := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	parts := url.URL{Path: decoded, RawPath: path}
	if err != nil || parts.EscapedPath() != path {
		u.Opaque = "//" + host + target
		return
	}
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = decoded, path, query, hasQuery
}
