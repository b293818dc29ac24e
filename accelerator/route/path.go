package route

import "strings"

// Path is the path of a request target in origin-form (RFC 9112 §3.2.1) that
// routes look at: without the query, with . and .. resolved and each %XX decoded
// once, so that nobody gets around a route by another spelling. An encoded slash
// or NUL and a bad escape stay as they are: they are part of a segment. Another
// target than a path, "*", is left alone. Without escapes and dots it does not
// allocate.
func Path(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return decode(resolve(path))
}

// resolve removes the . and .. segments of a path, encoded ones too, and touches
// nothing else (RFC 3986 §5.2.4).
func resolve(path string) string {
	if !hasDots(path) {
		return path
	}
	kept := make([]string, 0, 16)
	last := ""
	for segment := range strings.SplitSeq(path[1:], "/") {
		last = segment
		switch dots(segment) {
		case 0:
			kept = append(kept, segment)
		case 2:
			kept = kept[:max(len(kept)-1, 0)]
		}
	}
	if dots(last) > 0 {
		kept = append(kept, "") // It is a folder that is meant.
	}
	return "/" + strings.Join(kept, "/")
}

// hasDots tells whether a path has a segment that is . or .. .
func hasDots(path string) bool {
	if !strings.HasPrefix(path, "/") || !strings.Contains(path, "/.") && !strings.Contains(path, "/%2") {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if dots(segment) > 0 {
			return true
		}
	}
	return false
}

// dots is 1 for a . segment and 2 for a .. segment, with any of the dots encoded.
func dots(segment string) int {
	n := 0
	for ; segment != ""; n++ {
		rest, ok := strings.CutPrefix(segment, ".")
		if !ok {
			if len(segment) < 3 || !strings.EqualFold(segment[:3], "%2e") {
				return 0
			}
			rest = segment[3:]
		}
		segment = rest
	}
	if n > 2 {
		return 0
	}
	return n
}

// decode decodes each %XX once, but for those that Path leaves alone.
func decode(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	out := make([]byte, 0, len(path))
	for path != "" {
		c, n := next(path)
		out = append(out, c...)
		path = path[n:]
	}
	return string(out)
}

// next is the first character of a path, decoded if it is to be, and how many
// bytes it has there. The path is not empty.
func next(path string) (decoded string, n int) {
	if path[0] != '%' || len(path) < 3 {
		return path[:1], 1
	}
	high, ok1 := hex(path[1])
	low, ok2 := hex(path[2])
	c := high<<4 | low
	if !ok1 || !ok2 || c == '/' || c == 0 {
		return path[:1], 1
	}
	return everyByte[c : c+1], 3
}

// everyByte has every byte once, to take texts of one byte from.
var everyByte = func() string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return string(all)
}()

func hex(c byte) (value int, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10, true
	}
	return 0, false
}
