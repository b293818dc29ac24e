package content

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ancestor is kHTTPd's defaults.
func ancestor() *Rules {
	return &Rules{Farm: true, PermRequired: 0o004, PermForbid: 0o1111, Dynamic: NewPatterns([]string{"..", "cgi-bin"})}
}

func TestDecide(t *testing.T) {
	page := func(mode uint32, mediaType string) *Object {
		return &Object{Mode: mode, ContentType: mediaType, Representations: []*Representation{{}}}
	}
	s := &Snapshot{objects: map[string]*Object{
		"/":            page(0o644, "text/html"),
		"/a.html":      page(0o644, "text/html"),
		"/secret.html": page(0o640, "text/html"),
		"/run.html":    page(0o755, "text/html"),
		"/sticky.html": page(0o1644, "text/html"),
		"/a..b.html":   page(0o644, "text/html"),
		"/cgi-bin/x":   page(0o644, "text/html"),
		"/api/v1.html": page(0o644, "text/html"),
		"/unknown":     page(0o644, ""),
		"/dir":         {Location: "/dir/"},
	}}
	alone := ancestor()
	alone.Farm = false
	ignore := ancestor()
	ignore.IgnoreQuery = true
	typed := ancestor()
	typed.UnknownType = "text/plain"
	open := &Rules{Farm: true}
	globs := &Rules{Farm: true, Dynamic: NewPatterns([]string{"/api/*.html"})}
	const static = -1
	tests := []struct {
		name           string
		rules          *Rules
		method, target string
		want           int
	}{
		{"method", ancestor(), "POST", "/a.html", 0},
		{"method in lower case", ancestor(), "get", "/a.html", 0},
		{"method before query", ancestor(), "POST", "/a.html?x", 0},
		{"query", ancestor(), "GET", "/a.html?x", 1},
		{"empty query", ancestor(), "GET", "/a.html?", 1},
		{"query before existence", ancestor(), "GET", "/none?x", 1},
		{"unsafe", ancestor(), "GET", "/%2e%2e/a.html", 2},
		{"asterisk", ancestor(), "GET", "*", 2},
		{"missing", ancestor(), "GET", "/none.html", 3},
		{"doubled slash", ancestor(), "GET", "//a.html", 3},
		{"missing before dynamic", ancestor(), "GET", "/cgi-bin/none", 3},
		{"not for the world", ancestor(), "GET", "/secret.html", 4},
		{"executable", ancestor(), "GET", "/run.html", 5},
		{"sticky", ancestor(), "GET", "/sticky.html", 5},
		{"dots in a name", ancestor(), "GET", "/a..b.html", 6},
		{"cgi-bin", ancestor(), "GET", "/cgi-bin/x", 6},
		{"cgi-bin, encoded", ancestor(), "GET", "/cgi%2dbin/x", 6},
		{"glob", globs, "GET", "/api/v1.html", 6},
		{"unknown type", ancestor(), "GET", "/unknown", 7},

		{"index", ancestor(), "GET", "/", static},
		{"file", ancestor(), "GET", "/a.html", static},
		{"HEAD", ancestor(), "HEAD", "/a.html", static},
		{"encoded", ancestor(), "GET", "/%61.html", static},
		{"redirect", ancestor(), "GET", "/dir", static},
		{"query ignored", ignore, "GET", "/a.html?x", static},
		{"no bits required", open, "GET", "/secret.html", static},
		{"no bits forbidden", open, "GET", "/sticky.html", static},
		{"nothing dynamic", open, "GET", "/cgi-bin/x", static},
		{"unknown sent as", typed, "GET", "/unknown", static},
		{"alone: query", alone, "GET", "/a.html?x", static},
		{"alone: unknown type", alone, "GET", "/unknown", static},
		{"alone: dynamic", alone, "GET", "/cgi-bin/x", 6},
	}
	for _, test := range tests {
		got := static
		d := test.rules.Decide(s, test.method, test.target)
		if d.Failed != nil {
			got = d.Failed.Number
			if d.Why == "" {
				t.Errorf("%s: rule %d fails without a reason", test.name, got)
			}
		}
		if got != test.want {
			t.Errorf("%s: %s %s: first failing rule %d, want %d", test.name, test.method, test.target, got, test.want)
		}
	}
}

// The table is kHTTPd's: seven rules in its order, after the method.
func TestTableOrder(t *testing.T) {
	var numbers []int
	for _, rule := range Table {
		numbers = append(numbers, rule.Number)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7}, numbers); diff != "" {
		t.Error(diff)
	}
}

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"cgi-bin", "/a/cgi-bin/b", true},
		{"cgi-bin", "/cgi/bin", false},
		{"/*.html", "/a.html", true},
		{"/*.html", "/a/b.html", false},
		{"/**.html", "/a/b.html", true},
		{"/assets/**", "/assets/a/b", true},
		{"/assets/**", "/xassets/a", false},
		{"/a?c", "/abc", true},
		{"/a?c", "/a/c", false},
		{"/a.*", "/axb", false},
		{"/[a]*", "/ab", false},
		{"/*", "/a\nb", true},
	}
	for _, test := range tests {
		if got := NewPattern(test.pattern).Match(test.path); got != test.want {
			t.Errorf("%q matches %q: %v", test.pattern, test.path, got)
		}
	}
	if NewGlob("/a").Match("/ab") {
		t.Error("a glob without wildcards matches more than its path")
	}
}
