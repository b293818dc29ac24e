package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// altered are changes of all kinds.
var altered = Changes{
	Target:   func(target string) string { return strings.TrimPrefix(target, "/api") },
	Request:  FieldChanges{Set: []Field{{"X-Zone", "a"}, {"Authorization", "Basic eA=="}}, Remove: []string{"Cookie", "User-Agent"}},
	Response: FieldChanges{Set: []Field{{"X-Frame-Options", "DENY"}}, Remove: []string{"Server", "Set-Cookie"}},
}

// What a route changes arrives changed, and a client cannot say otherwise by another
// spelling, or by a field of the connection.
func TestChanges(t *testing.T) {
	back := rawBackend(t, func(w *wire) {
		head := w.head()
		w.send("HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=1\r\nX-Frame-Options: ALLOW\r\nX-Frame-Options: TWICE\r\nX-Kept: 1\r\nContent-Length: " +
			"1\r\nX-Head: " + strings.ReplaceAll(strings.TrimSpace(head), "\r\n", "|") + "\r\n\r\nx")
	})
	f := startFront(t, &Proxy{StickyCookie: "s"}, back)
	server := httptest.NewServer(&Changed{f.Proxy, altered})
	defer server.Close()
	r, err := http.NewRequest("GET", server.URL+"/api/a%2Fb?c", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "site"
	r.Header = http.Header{
		"X-Zone": {"evil", "worse"}, "X_zone": {"evil"}, "Cookie": {"a"}, "User-Agent": {"x"}, "Authorization": {"evil"}, "X_other": {"1"},
		"Connection": {"X-Zone, Authorization"}, "Accept-Encoding": {"br"},
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); string(text) != "x" || err != nil {
		t.Errorf("body %q, %v", text, err)
	}
	want := lines("GET /a%2Fb?c HTTP/1.1\r\nHost: site\r\nX-Zone: a\r\nAuthorization: Basic eA==\r\nX_other: 1\r\nAccept-Encoding: br\r\n" +
		"Via: 1.1 ramjet\r\nX-Forwarded-Host: site\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n")
	if diff := cmp.Diff(want, lines(strings.ReplaceAll(answer.Header.Get("X-Head"), "|", "\r\n"))); diff != "" {
		t.Error(diff)
	}
	h := answer.Header
	if h["Server"] != nil || len(h["X-Frame-Options"]) != 1 || h.Get("X-Frame-Options") != "DENY" || h.Get("X-Kept") != "1" {
		t.Errorf("answer: %v", h)
	}
	if c := h["Set-Cookie"]; len(c) != 1 || !strings.HasPrefix(c[0], "s=") {
		t.Errorf("the backend's cookies are removed, ours is not: %q", c)
	}
}

func TestExplain(t *testing.T) {
	pool, err := newPool(&url.URL{Scheme: "http", Host: "10.0.0.1:8000"})
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: "GET", RequestURI: "http://site/api/x?y", Host: "site", Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}
	got := (&Changed{&Proxy{Pool: pool}, altered}).Explain(r)
	const want = `backend  http://10.0.0.1:8000, weight 1: gets it
request  GET /x?y HTTP/1.1
request  Host: site
request  + Authorization: Basic eA==
request  + Via: 1.1 ramjet
request  + X-Forwarded-For: <client>
request  + X-Forwarded-Host: site
request  + X-Forwarded-Proto: http
request  + X-Zone: a
request  - the fields of the connection, and what a client that is not trusted says of whom it forwards for
request  - Cookie
request  - User-Agent
answer   - Server
answer   - Set-Cookie
answer   + X-Frame-Options: DENY
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = (&Proxy{Pool: pool, RewriteHost: true, Identity: Forwarded}).Explain(r)
	for _, line := range []string{"request  GET /api/x?y HTTP/1.1\n", "request  Host: that of the backend's URL\n", "request  + Forwarded: for=<client>;host=\"site\";proto=http\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}
