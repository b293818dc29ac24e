package route

import "strings"

// Rewrite is another beginning for the path of a request: Strip goes, Replace
// comes. The zero value changes nothing.
type Rewrite struct {
	Strip   string // decoded, without a slash at its end; "" for nothing
	Replace string // as it is sent, without a slash at its end; "" for nothing
}

// Apply rewrites a request target in origin-form. What follows the prefix stays
// byte for byte, its escapes and the query too; the prefix itself is found however
// it is spelled. Only if the path has . or .. segments are these resolved, or they
// could climb out of what replaces the prefix. A target without the prefix stays
// as it is.
func (w Rewrite) Apply(target string) string {
	if w == (Rewrite{}) || !strings.HasPrefix(target, "/") {
		return target
	}
	path, query := target, ""
	if i := strings.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	rest, ok := w.strip(resolve(path))
	if !ok {
		return target
	}
	if w.Replace == "" && rest == "" {
		rest = "/"
	}
	return w.Replace + rest + query
}

// strip returns what follows the prefix in a path, and whether it is there and
// ends at the end of a segment.
func (w Rewrite) strip(path string) (rest string, ok bool) {
	rest = path
	for prefix := w.Strip; prefix != ""; prefix = prefix[1:] {
		if rest == "" {
			return "", false
		}
		c, n := next(rest)
		if c[0] != prefix[0] {
			return "", false
		}
		rest = rest[n:]
	}
	return rest, rest == "" || rest[0] == '/'
}
