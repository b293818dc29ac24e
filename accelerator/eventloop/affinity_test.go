package eventloop

import (
	"net/http"
	"testing"
)

// What a cookie is: as for net/http, so that both tiers choose the same backend.
func TestCookieValue(t *testing.T) {
	for _, cookies := range []string{
		"", "a", "a=", "a=1", "b=1", "b=2; a=1", " a = 1 ", "a=\"1\"", "a=\"", "a=\"\"", "a=\"1", "a=1\"; a=2", "a=1\\2; a=3", "a; a=1", "A=1; a=2",
		"a=1;a=2", ";;a=1", "a=x y", "a=x,y", "a=\xc3\xa4; a=4", "a=b=c", "a\t=\t5\t", "ab=1; a=2", "a=\"x y\" ; a=3", "=a; a=1", "a=\x7f; a=6",
	} {
		want := ""
		r := http.Request{Header: http.Header{"Cookie": {cookies}}}
		if c, err := r.Cookie("a"); err == nil {
			want = c.Value
		}
		if got := string(cookieValue([]byte(cookies), "a")); got != want {
			t.Errorf("%q: %q, want %q", cookies, got, want)
		}
	}
}
