package config

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
	"golang.org/x/net/http/httpguts"
)

// maxRoutes bounds the work for one request.
const maxRoutes = 1000

const exampleRoute = `{"path": "/api/", "pool": "api"}`

// readRoutes reads "routes". It comes after the pools, wherever these stand in the file.
func (c *Config) readRoutes(n node) {
	if arr, ok := n.value.Value.(*hujson.Array); ok && len(arr.Elements) > maxRoutes {
		n.fail("%d routes are too many; there can be %d", len(arr.Elements), maxRoutes)
		return
	}
	var pools []string
	for _, p := range c.AllPools() {
		pools = append(pools, strconv.Quote(p.Name))
	}
	var before []Route
	list(&c.Routes, "["+exampleRoute+"]", func(n node, r *Route) {
		mistakes := len(n.d.mistakes)
		r.read(n, pools)
		if len(n.d.mistakes) == mistakes {
			if i := slices.IndexFunc(before, r.coveredBy); i >= 0 {
				n.fail("no request gets here, for routes[%d] takes all that match this one; put this one before it, or remove it", i)
			}
		}
		before = append(before, *r)
	})(n)
}

func (r *Route) read(n node, pools []string) {
	r.Pool = DefaultPool
	named := false
	n.object(exampleRoute, keys{
		"host":    text(&r.Host, `"www.example.com" or "*.example.com"`, parseRouteHost),
		"path":    text(&r.Path, `"/api/"`, parseRoutePath),
		"methods": r.readMethods,
		"pool": func(n node) {
			named = true
			text(&r.Pool, `"api"`, func(s string) (string, error) { return s, checkPool(s, pools) })(n)
		},
		"strip_prefix":    text(&r.StripPrefix, `"/api"`, parseStripPrefix),
		"replace_prefix":  text(&r.ReplacePrefix, `"/v2"`, parseReplacePrefix),
		"request_header":  func(n node) { r.RequestHeader.read(n, false) },
		"response_header": func(n node) { r.ResponseHeader.read(n, true) },
		"per_client":      r.PerClient.read,
	})
	if err := checkPool(r.Pool, pools); err != nil && !named {
		n.fail("the pool is missing: %v", err)
	}
	if r.StripPrefix != "" && r.Path != "" && !strings.ContainsAny(r.Path, "*?") {
		path := strings.TrimSuffix(r.Path, "/")
		if !isBelow(path, r.StripPrefix) && !isBelow(r.StripPrefix, path) {
			n.fail("no path begins with both the path %s and strip_prefix %s", quote(r.Path), quote(r.StripPrefix))
		}
	}
}

// checkPool checks the name of a pool; pools are those that there are, quoted.
func checkPool(s string, pools []string) error {
	switch {
	case slices.Contains(pools, strconv.Quote(s)):
		return nil
	case s == DefaultPool:
		return errors.New(`"default" are the top-level backends, and there are none; write "backends", or name one of "pools"`)
	case len(pools) == 0:
		return fmt.Errorf(`%s is not a pool; there are none, write "pools"`, quote(s))
	case len(pools) > 20:
		return fmt.Errorf("%s is not a pool", quote(s))
	}
	return fmt.Errorf("%s is not a pool; there are %s", quote(s), strings.Join(pools, ", "))
}

// readMethods reads "methods". Their names are case-sensitive (RFC 9110 §9.1), and nobody means "get".
func (r *Route) readMethods(n node) {
	texts(&r.Methods, `"GET", "POST"`, func(s string) (string, error) {
		switch {
		case !isToken(s):
			return "", fmt.Errorf("%s is not a method, such as \"GET\"", quote(s))
		case s != strings.ToUpper(s):
			return "", fmt.Errorf("%s is not in capitals; write %s", quote(s), quote(strings.ToUpper(s)))
		}
		return s, nil
	})(n)
	if r.Methods != nil && len(r.Methods) == 0 {
		n.fail("without a method there is no request; leave the setting out for any")
	}
	for i, m := range r.Methods {
		if m != "" && slices.Contains(r.Methods[:i], m) {
			n.fail("%s is there twice; keep one", quote(m))
		}
	}
}

// parseRouteHost checks a host name, or a pattern of one. It becomes lower case: names are not case-sensitive.
func parseRouteHost(s string) (string, error) {
	name, isPattern := strings.CutPrefix(s, "*.")
	host, _, hasPort := strings.Cut(name, ":")
	switch {
	case s == "":
		return "", errors.New("must not be empty; leave the setting out for any host")
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("%s has a * in another place than the beginning; write a name, or \"*.example.com\" for all names below one", quote(s))
	case hasPort && !strings.Contains(name[len(host)+1:], ":"):
		return "", fmt.Errorf("%s has a port; leave it out, a route is for all ports", quote(s))
	case isPattern && strings.Trim(name, "0123456789.") == "":
		return "", fmt.Errorf("%s: there are no names below an address", quote(s))
	}
	if err := checkHost(name); err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.ToLower(s), "."), nil
}

// parseRoutePath checks a prefix of decoded paths or a glob.
func parseRoutePath(s string) (string, error) {
	if strings.ContainsAny(s, "*?") {
		return parseGlob(s)
	}
	return s, checkPrefix(s)
}

// parseStripPrefix reads a prefix of decoded paths, and takes the slash off its end.
func parseStripPrefix(s string) (string, error) {
	if strings.ContainsAny(s, "*?") {
		return "", fmt.Errorf("%s has a * or ?; a prefix is plain", quote(s))
	}
	return strings.TrimSuffix(s, "/"), checkPrefix(s)
}

// parseReplacePrefix is parseStripPrefix for what is sent: plain characters, which stand for themselves everywhere.
func parseReplacePrefix(s string) (string, error) {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"#%<>\^{|}`+"`", r) }
	if strings.ContainsFunc(s, odd) {
		return "", fmt.Errorf("%s has a character that cannot be sent as it is; write letters, digits and -._~!$&'()+,;=:@/", quote(s))
	}
	return parseStripPrefix(s)
}

// checkPrefix checks a beginning of decoded paths.
func checkPrefix(s string) error {
	if plain, err := url.PathUnescape(s); err == nil && plain != s {
		return fmt.Errorf("%s has a %%-escape; paths are compared decoded, so write %s", quote(s), quote(plain))
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("%s does not begin with /; write %s", quote(s), quote("/"+s))
	case len(s) > maxGlob:
		return fmt.Errorf("%s is too long; it can have %d bytes", quote(s), maxGlob)
	case strings.ContainsFunc(s, control):
		return fmt.Errorf("%s has a control character", quote(s))
	case strings.Contains(s, "//") || strings.Contains(s+"/", "/./") || strings.Contains(s+"/", "/../"):
		return fmt.Errorf("%s has an empty segment, or one of dots", quote(s))
	}
	return nil
}

// read reads changes of a header, of an answer's or of a request's.
func (h *FieldChanges) read(n node, answer bool) {
	parse := func(s string) (string, error) { return checkChange(s, answer) }
	n.object(`{"set": {"X-Zone": "a"}, "remove": ["Cookie"]}`, keys{
		"set": func(n node) { h.readSet(n, parse) },
		"remove": func(n node) {
			texts(&h.Remove, `"Cookie"`, parse)(n)
			for i, name := range h.Remove {
				if name != "" && slices.Contains(h.Remove[:i], name) {
					n.fail("%s is there twice; keep one", quote(name))
				}
			}
		},
	})
	for _, f := range h.Set {
		if slices.Contains(h.Remove, f.Name) {
			n.fail("%s is set and removed; setting it replaces what was there, so it need not be removed", quote(f.Name))
		}
	}
}

// readSet reads "set", whose names are not fixed.
func (h *FieldChanges) readSet(n node, parse func(string) (string, error)) {
	obj, ok := n.value.Value.(*hujson.Object)
	known := keys{}
	for i := 0; ok && i < len(obj.Members); i++ {
		name := obj.Members[i].Name
		key := name.Value.(hujson.Literal).String()
		known[key] = func(value node) {
			at := node{n.d, value.path, name}
			canonical, err := parse(key)
			if err != nil {
				at.fail("%v", err)
				return
			}
			if slices.ContainsFunc(h.Set, func(f Field) bool { return f.Name == canonical }) {
				at.fail("%s is there twice; keep one", quote(canonical))
				return
			}
			f := Field{Name: canonical}
			text(&f.Value, `"a value"`, notEmpty(parseFieldValue))(value)
			h.Set = append(h.Set, f)
		}
	}
	n.object(`{"X-Zone": "a"}`, known)
}

// notForRoutes are the fields that a route may not touch: those of the connection and of the framing (RFC 9110 §7.6.1,
// RFC 9112 §6), for with them a message would end elsewhere for the one who reads it, and those that say whom a request
// is for and whom it comes from, which have settings of their own.
var notForRoutes = []string{
	"Connection", "Content-Length", "Expect", "Http2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
}

// ofIdentity are more of them, of requests.
var ofIdentity = map[string]string{
	"Host": "forward.host", "Forwarded": "forward.identity", "X-Forwarded-For": "forward.identity",
	"X-Forwarded-Host": "forward.identity", "X-Forwarded-Proto": "forward.identity",
}

// checkChange checks the name of a field that a route changes and returns it in canonical form. To programs that take
// fields from their environment _ is -, so names that differ in that alone are the same.
func checkChange(s string, answer bool) (string, error) {
	if !httpguts.ValidHeaderFieldName(s) || len(s) > maxGlob {
		return "", fmt.Errorf("%s is not the name of a header field, such as \"X-Zone\"", quote(s))
	}
	name := http.CanonicalHeaderKey(s)
	same := http.CanonicalHeaderKey(strings.ReplaceAll(s, "_", "-"))
	if slices.Contains(notForRoutes, same) || answer && same == "Date" {
		return "", fmt.Errorf("%s belongs to the connection and not to the message behind it; it cannot be changed", quote(name))
	}
	if setting, ok := ofIdentity[same]; ok && !answer {
		return "", fmt.Errorf("%s cannot be changed by a route; see %s", quote(name), setting)
	}
	return name, nil
}
