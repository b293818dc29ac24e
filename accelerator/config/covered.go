package config

import (
	"slices"
	"strings"
)

// coveredBy tells whether all requests that match r match an earlier route too, so that none gets to r. It knows the plain
// cases; of two globs it only knows equal ones.
func (r *Route) coveredBy(earlier Route) bool {
	return hostCovers(earlier.Host, r.Host) && pathCovers(earlier.Path, r.Path) && methodsCover(earlier.Methods, r.Methods)
}

func hostCovers(a, b string) bool {
	suffix, isPattern := strings.CutPrefix(a, "*")
	return a == "" || a == b || isPattern && strings.HasSuffix(b, suffix)
}

func pathCovers(a, b string) bool {
	switch {
	case a == "" || a == b:
		return true
	case b == "":
		return false
	case !strings.ContainsAny(a, "*?"):
		// What follows the first wildcard of b does not matter; what stands before it has to reach into a's prefix.
		fixed := b
		if i := strings.IndexAny(b, "*?"); i >= 0 {
			fixed = b[:strings.LastIndexByte(b[:i], '/')+1]
		}
		return isBelow(strings.TrimSuffix(fixed, "/"), strings.TrimSuffix(a, "/"))
	}
	folder, all := strings.CutSuffix(a, "/**")
	plain := !strings.ContainsAny(folder, "*?") && !strings.ContainsAny(b, "*?")
	return all && plain && strings.TrimSuffix(b, "/") != folder && isBelow(strings.TrimSuffix(b, "/"), folder)
}

// isBelow tells whether path is prefix or a path below it; neither ends with a slash.
func isBelow(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

func methodsCover(a, b []string) bool {
	if len(a) == 0 {
		return true
	}
	for _, m := range b {
		if !slices.Contains(a, m) && (m != "HEAD" || !slices.Contains(a, "GET")) {
			return false
		}
	}
	return len(b) > 0
}
