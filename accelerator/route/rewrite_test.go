package route

import (
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	for _, tt := range []struct{ strip, replace, target, want string }{
		{"", "", "/a/../b", "/a/../b"},
		{"/api", "", "/api/users?a=/api/", "/users?a=/api/"},
		{"/api", "", "/api", "/"},
		{"/api", "", "/api?x", "/?x"},
		{"/api", "", "/api/", "/"},
		{"/api", "", "/apix", "/apix"},
		{"/api", "", "/ap", "/ap"},
		{"/api", "", "/%61p%69/%41?%62", "/%41?%62"},
		{"/api", "", "/api%2Fx", "/api%2Fx"},
		{"/api", "", "/api//x", "//x"},
		{"/api", "", "/api/a%2Fb%zz\xff", "/a%2Fb%zz\xff"},
		{"/api", "", "*", "*"},
		{"/api", "/v2", "/api/x", "/v2/x"},
		{"/api", "/v2", "/api", "/v2"},
		{"/api", "/v2", "/api?x", "/v2?x"},
		{"/api", "/v2", "/api/%2e%2e/api/../api/x", "/v2/x"},
		{"/api", "/v2", "/api/../admin", "/api/../admin"},
		{"/api", "/v2", "/y/../api/a/./b", "/v2/a/b"},
		{"", "/app", "/x?y", "/app/x?y"},
		{"", "/app", "/../x", "/app/x"},
		{"/caf\u00e9", "/c", "/caf%C3%A9/x", "/c/x"},
	} {
		if got := (Rewrite{tt.strip, tt.replace}).Apply(tt.target); got != tt.want {
			t.Errorf("%q for %q in %q is %q, want %q", tt.replace, tt.strip, tt.target, got, tt.want)
		}
	}
}

// Whatever the target: the query stays, what is sent is below what replaces the
// prefix, and its path is what one gets who decodes first and rewrites then.
func FuzzRewrite(f *testing.F) {
	for _, target := range []string{
		"/api", "/api/", "/api?", "/api/x?y", "/%61pi/%2e%2e/x", "/api/..", "/x/../api", "*", "", "/api%2f..%2f", "//api", "/api/.%2E/../%", "/api//../..",
	} {
		f.Add(target, uint8(0))
		f.Add(target, uint8(1))
		f.Add(target, uint8(2))
	}
	rewrites := []Rewrite{{"/api", ""}, {"/api", "/v2/deep"}, {"", "/app"}}
	f.Fuzz(func(t *testing.T, target string, which uint8) {
		w := rewrites[int(which)%len(rewrites)]
		got := w.Apply(target)
		path, query, hasQuery := strings.Cut(target, "?")
		gotPath, gotQuery, gotHas := strings.Cut(got, "?")
		if gotQuery != query || gotHas != hasQuery {
			t.Fatalf("%q became %q: another query", target, got)
		}
		decoded := Path(target)
		if !strings.HasPrefix(target, "/") || !below(decoded, w.Strip) {
			if got != target {
				t.Fatalf("%q became %q without having the prefix", target, got)
			}
			return
		}
		want := w.Replace + strings.TrimPrefix(decoded, w.Strip)
		if want == "" {
			want = "/"
		}
		if Path(got) != want {
			t.Fatalf("%q became %q, whose path is %q and not %q", target, got, Path(got), want)
		}
		if !below(Path(got), w.Replace) {
			t.Fatalf("%q became %q, which is not below %q", target, got, w.Replace)
		}
		if !hasDots(path) && !strings.HasSuffix(path, strings.TrimPrefix(gotPath, w.Replace)) && gotPath != "/" {
			t.Fatalf("%q became %q: not byte for byte", target, got)
		}
	})
}
