package content

import "strings"

// Target is a request target (RFC 9112 §3.2) taken apart. The static side only
// ever looks at Path; what is forwarded is the target as it was received.
type Target struct {
	Path     string // %-decoded, exactly once; "" if Unsafe is set
	HasQuery bool   // there was a "?", looked for before %-decoding
	Unsafe   string // why the path can never be a file's, or ""
}

// ParseTarget takes apart an origin-form or absolute-form request target. It
// never fails: whatever cannot be a file's path is marked Unsafe.
func ParseTarget(target string) Target {
	t := Target{}
	path := originForm(target)
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, t.HasQuery = path[:i], true
	}
	if !strings.HasPrefix(path, "/") {
		t.Unsafe = "it does not begin with /"
		return t
	}
	decoded, problem := unescape(path)
	if problem == "" {
		problem = unsafeSegment(decoded)
	}
	if problem != "" {
		t.Unsafe = problem
		return t
	}
	t.Path = decoded
	return t
}

// originForm strips scheme and authority from an absolute-form target.
func originForm(target string) string {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || strings.ContainsAny(scheme, "/?") {
		return target
	}
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		return "/"
	}
	if rest[i] == '?' {
		return "/" + rest[i:]
	}
	return rest[i:]
}

// unescape decodes each %XX once.
func unescape(s string) (decoded, problem string) {
	if strings.IndexByte(s, 0) >= 0 {
		return "", "it holds a NUL"
	}
	if strings.IndexByte(s, '%') < 0 {
		return s, ""
	}
	out, problem := AppendUnescaped(make([]byte, 0, len(s)), s)
	return string(out), problem
}

// AppendUnescaped appends s to out with each %XX decoded once, unless there is a
// problem. An encoded slash would change the path's structure and a NUL would
// end it early for the kernel, so both are refused.
func AppendUnescaped(out []byte, s string) (decoded []byte, problem string) {
	for i := strings.IndexByte(s, '%'); i >= 0; i = strings.IndexByte(s, '%') {
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return out, "it holds a bad %-escape"
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		switch c {
		case 0:
			return out, "it holds an encoded NUL"
		case '/':
			return out, "it holds an encoded slash"
		}
		out = append(append(out, s[:i]...), c)
		s = s[i+3:]
	}
	return append(out, s...), ""
}

// unsafeSegment refuses the parent directory, the one segment that could leave
// the root.
func unsafeSegment(path string) string {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." {
			return "it has a .. segment"
		}
	}
	return ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
