package content

import (
	"path"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		target string
		want   Target
	}{
		{"", Target{Unsafe: "it does not begin with /"}},
		{"*", Target{Unsafe: "it does not begin with /"}},
		{"example.com:443", Target{Unsafe: "it does not begin with /"}},
		{"/a\x00b", Target{Unsafe: "it holds a NUL"}},
		{"/a%00b", Target{Unsafe: "it holds an encoded NUL"}},
		{"/a%2fb", Target{Unsafe: "it holds an encoded slash"}},
		{"/a%2Fb", Target{Unsafe: "it holds an encoded slash"}},
		{"/a%", Target{Unsafe: "it holds a bad %-escape"}},
		{"/a%4", Target{Unsafe: "it holds a bad %-escape"}},
		{"/a%4g", Target{Unsafe: "it holds a bad %-escape"}},
		{"/a%g4", Target{Unsafe: "it holds a bad %-escape"}},
		{"/..", Target{Unsafe: "it has a .. segment"}},
		{"/a/../b", Target{Unsafe: "it has a .. segment"}},
		{"/%2e%2e/b", Target{Unsafe: "it has a .. segment"}},
		{"/.%2E", Target{Unsafe: "it has a .. segment"}},
		{"http://example.com/..?x", Target{HasQuery: true, Unsafe: "it has a .. segment"}},

		{"/", Target{Path: "/"}},
		{"/a%20b%41", Target{Path: "/a bA"}},
		{"/%25", Target{Path: "/%"}},
		{"/%252f", Target{Path: "/%2f"}}, // Decoded once, not twice.
		{"/a..b/...", Target{Path: "/a..b/..."}},
		{"/a?", Target{Path: "/a", HasQuery: true}},
		{"/a?b=%zz/../c", Target{Path: "/a", HasQuery: true}},
		{"/a%3fb", Target{Path: "/a?b"}}, // An encoded question mark is part of the name.
		{"//a", Target{Path: "//a"}},
		{"/a://b", Target{Path: "/a://b"}},
		{"http://example.com", Target{Path: "/"}},
		{"http://example.com?q", Target{Path: "/", HasQuery: true}},
		{"http://example.com/a%20b", Target{Path: "/a b"}},
		{"/\xc3\xbc/%C3%BC", Target{Path: "/ü/ü"}},
	}
	for _, test := range tests {
		if got := ParseTarget(test.target); got != test.want {
			t.Errorf("ParseTarget(%q) = %+v, want %+v", test.target, got, test.want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"/", "*", "/a%2fb", "/%2e%2e/x", "http://h/p?q", "/%00", "/a%", "//x//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got := ParseTarget(target)
		if (got.Unsafe == "") != (got.Path != "") {
			t.Fatalf("%q: path %q with verdict %q", target, got.Path, got.Unsafe)
		}
		if got.Unsafe != "" {
			return
		}
		if got.Path[0] != '/' || strings.IndexByte(got.Path, 0) >= 0 {
			t.Fatalf("%q: path %q", target, got.Path)
		}
		// However a file system reads it, it stays below the root.
		if clean := path.Join("/root", got.Path); clean != "/root" && !strings.HasPrefix(clean, "/root/") {
			t.Fatalf("%q leaves the root: %q", target, clean)
		}
	})
}
