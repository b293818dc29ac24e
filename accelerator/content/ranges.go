package content

import (
	"fmt"
	"math"
	"strings"
)

// maxRanges bounds how many parts one response may have. More than this is
// either a mistake or an attack; RFC 9110 §14.2 lets a server ignore the field.
const maxRanges = 32

// canonicalRange reads a Range field (RFC 9110 §14.2) for a representation of
// size bytes and writes it anew, so plainly that http.ServeContent cannot
// misread it: only ranges that can be satisfied, each with both its ends. If
// none of them can, it is one that ServeContent refuses with 416. It is empty
// if the field is to be ignored: an unknown unit, a malformed list, too many.
func canonicalRange(field string, size int64) string {
	unit, list, ok := strings.Cut(field, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return ""
	}
	var satisfiable []string
	asked := 0
	for spec := range strings.SplitSeq(list, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // RFC 9110 §5.6.1.2: empty elements do not count.
		}
		if asked++; asked > maxRanges {
			return ""
		}
		from, to, ok := parseRange(spec, size)
		if !ok {
			return ""
		}
		if from < size && from <= to {
			satisfiable = append(satisfiable, fmt.Sprintf("%d-%d", from, to))
		}
	}
	switch {
	case asked == 0:
		return ""
	case satisfiable == nil:
		return fmt.Sprintf("bytes=%d-", size)
	default:
		return "bytes=" + strings.Join(satisfiable, ",")
	}
}

// parseRange reads one int-range or suffix-range (RFC 9110 §14.1.2). Its ends are
// clipped to the representation; a range that holds nothing has from > to or
// from >= size.
func parseRange(spec string, size int64) (from, to int64, ok bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return 0, 0, false
	}
	if first == "" {
		n, ok := parseDigits(last)
		return size - min(n, size), size - 1, ok
	}
	from, ok = parseDigits(first)
	if !ok || last == "" {
		return from, size - 1, ok
	}
	to, ok = parseDigits(last)
	return from, min(to, size-1), ok && from <= to
}

// parseDigits reads 1*DIGIT; what is too large is as large as can be.
func parseDigits(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64 / 10 // Stays there, whatever follows.
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
