// Package route says where a request goes: a table of routes, of which the first
// that matches counts, and what becomes of the path on the way.
//
// It knows neither net/http nor pools: a route is a number, and whoever asks knows
// what that stands for. So both tiers can ask the same table.
//
//	route.go  Table: which route a request takes   path.go  the path that is looked at
//	rewrite.go  the path that is sent
package route

import (
	"slices"
	"strings"

	"ramjet/accelerator/content"
)

// Route is what a request must have to take it. The zero value takes all.
type Route struct {
	// Host is a host name in lower case without a port, or "*.example.com" for all
	// names below that; "" is any.
	Host string
	// Path is a prefix that ends between two segments, with a slash behind it or
	// not: "/api/" is "/api" and all below. With * or ? in it, it is a glob over the
	// whole path, as content.Pattern has them. "" is any path.
	Path string
	// Methods are those that take the route, and HEAD where GET does; nil is any.
	Methods []string
}

// Table is a list of routes. Immutable.
type Table struct {
	rows []row

	// Which rows a request can take at all, in their order: of many virtual hosts one
	// shall not have to look through the routes of the others.
	byHost map[string][]int // by a host that is named in full
	others []int            // of all other hosts
}

// row is a Route made ready for matching.
type row struct {
	host    string // "" for any
	below   bool   // host begins with a dot, and names below it are meant
	prefix  string // without a slash at its end; "" for any path, if glob is nil
	rooted  bool   // the path must begin with "/"
	glob    *content.Pattern
	methods []string
}

// New makes a table of the routes, in their order.
func New(routes []Route) *Table {
	t := &Table{rows: make([]row, len(routes))}
	for i, r := range routes {
		to := &t.rows[i]
		to.host, to.below = strings.CutPrefix(r.Host, "*")
		switch {
		case strings.ContainsAny(r.Path, "*?"):
			glob := content.NewGlob(r.Path)
			to.glob = &glob
		case r.Path != "":
			to.rooted = true
			to.prefix = strings.TrimSuffix(r.Path, "/")
		}
		to.methods = slices.Clone(r.Methods)
		if slices.Contains(to.methods, "GET") && !slices.Contains(to.methods, "HEAD") {
			to.methods = append(to.methods, "HEAD")
		}
	}
	t.others = t.rowsOf("")
	t.byHost = map[string][]int{}
	for _, r := range t.rows {
		if r.host != "" && !r.below && t.byHost[r.host] == nil {
			t.byHost[r.host] = t.rowsOf(r.host)
		}
	}
	return t
}

// rowsOf are the rows that a host can take; "" is one that no row names in full.
func (t *Table) rowsOf(host string) (rows []int) {
	for i := range t.rows {
		if r := &t.rows[i]; r.takesHost(host) || host == "" && r.below {
			rows = append(rows, i)
		}
	}
	return rows
}

// Match returns the number of the first route that a request takes, from 0, or -1
// if it takes none. host is the Host field as it came; path is what Path makes of
// the request target. It does not allocate.
func (t *Table) Match(method, host, path string) int {
	name := hostname(host)
	for _, i := range t.candidates(name) {
		if t.rows[i].differs(method, name, path) == "" {
			return i
		}
	}
	return -1
}

// candidates are the rows that a host can take.
func (t *Table) candidates(name string) []int {
	var lower [maxName]byte
	if len(t.byHost) == 0 || len(name) > len(lower) {
		return t.others
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	if rows, ok := t.byHost[string(lower[:len(name)])]; ok {
		return rows
	}
	return t.others
}

// maxName is the longest name of a host (RFC 1035 §2.3.4).
const maxName = 255

// Why says what keeps a request from a route: "host", "path" or "method"; "" if
// nothing does.
func (t *Table) Why(i int, method, host, path string) string {
	return t.rows[i].differs(method, hostname(host), path)
}

func (r *row) differs(method, name, path string) string {
	switch {
	case !r.takesHost(name):
		return "host"
	case !r.takesPath(path):
		return "path"
	case r.methods != nil && !slices.Contains(r.methods, method):
		return "method"
	}
	return ""
}

func (r *row) takesHost(name string) bool {
	switch {
	case r.host == "":
		return true
	case r.below:
		return len(name) > len(r.host) && strings.EqualFold(name[len(name)-len(r.host):], r.host)
	}
	return strings.EqualFold(name, r.host)
}

func (r *row) takesPath(path string) bool {
	if r.glob != nil {
		return r.glob.Match(path)
	}
	return !r.rooted || below(path, r.prefix)
}

// below tells whether path is prefix, which has no slash at its end, or a path
// below it.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" && prefix != "" || strings.HasPrefix(rest, "/"))
}

// hostname is a Host field without its port, the brackets of an IPv6 address, and
// the dot that may end a name.
func hostname(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, _, _ = strings.Cut(inner, "]")
		return inner
	}
	host, _, _ = strings.Cut(host, ":")
	return strings.TrimSuffix(host, ".")
}
