package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// echo is a raw backend that answers each request, of any method but HEAD, with
// its head and closes.
func echo(t testing.TB) string {
	return rawBackend(t, func(w *wire) {
		head := w.head()
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(head), head))
		_ = w.CloseWrite()
		_, _ = w.rest() // A body that nobody reads would make the end a reset.
	})
}

// lines is the sorted lines of a head, without the last, empty one.
func lines(head string) []string {
	l := strings.Split(strings.TrimRight(head, "\r\n"), "\r\n")
	slices.Sort(l)
	return l
}

// TestRequestFields compares the whole head that arrives with what is expected.
func TestRequestFields(t *testing.T) {
	const ours = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
	for _, c := range []struct {
		name, sent, want string
		rewriteHost      bool
	}{
		{
			name: "hop-by-hop fields",
			sent: "GET / HTTP/1.1\r\nHost: site\r\nConnection: keep-alive, X-Hop , Cookie\r\nConnection: close\r\nX-Hop: 1\r\nCookie: a\r\nKeep-Alive: 5\r\n" +
				"Proxy-Connection: x\r\nProxy-Authorization: x\r\nTE: deflate\r\nUpgrade: x\r\nX-End: 1\r\n\r\n",
			want: "GET / HTTP/1.1\r\nHost: site\r\nX-End: 1\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
		{
			name: "forwarding fields that anybody could have written",
			sent: "GET / HTTP/1.1\r\nHost: site\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.2.3.4\r\nConnection: close, X-Forwarded-For\r\n\r\n",
			want: "GET / HTTP/1.1\r\nHost: site\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
		{
			name: "end-to-end fields, several, odd ones",
			sent: "GET / HTTP/1.1\r\nHost: Site:8080\r\nUser-Agent: x/1 (y)\r\nAccept-Encoding: br;q=0.5, *\r\nX-A: 1\r\nX-A: 2, 3\r\nX-Empty:\r\nX-High: caf\xe9\r\nX_under: 1\r\n" +
				"Via: 1.0 other (a, b)\r\nAuthorization: Basic eA==\r\nRange: bytes=0-1\r\nIf-None-Match: W/\"x\"\r\nConnection: close\r\n\r\n",
			want: "GET / HTTP/1.1\r\nHost: Site:8080\r\nUser-Agent: x/1 (y)\r\nAccept-Encoding: br;q=0.5, *\r\nX-A: 1\r\nX-A: 2, 3\r\nX-Empty: \r\nX-High: caf\xe9\r\nX_under: 1\r\n" +
				"Via: 1.0 other (a, b)\r\nVia: 1.1 ramjet\r\nAuthorization: Basic eA==\r\nRange: bytes=0-1\r\nIf-None-Match: W/\"x\"\r\nX-Forwarded-Host: Site:8080\r\n" + ours,
		},
		{
			name: "HTTP/1.0: no Host, no Expect, no Upgrade",
			sent: "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
			want: "GET / HTTP/1.1\r\nHost: BACKEND\r\nVia: 1.0 ramjet\r\n" + ours,
		},
		{
			name: "no upgrade to h2c",
			sent: "GET / HTTP/1.1\r\nHost: site\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
			want: "GET / HTTP/1.1\r\nHost: site\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
		{
			name:        "Host of the backend",
			sent:        "GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n",
			want:        "GET / HTTP/1.1\r\nHost: BACKEND\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
			rewriteHost: true,
		},
		{
			name: "Host of the absolute-form",
			sent: "GET http://one/a HTTP/1.1\r\nHost: two\r\nConnection: close\r\n\r\n",
			want: "GET /a HTTP/1.1\r\nHost: one\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: one\r\n" + ours,
		},
		{
			name: "a body with a length",
			sent: "PUT / HTTP/1.1\r\nHost: site\r\nContent-Length: 2\r\nContent-Type: x/y\r\nConnection: close\r\n\r\nab",
			want: "PUT / HTTP/1.1\r\nHost: site\r\nContent-Length: 2\r\nContent-Type: x/y\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
		{
			name: "a body in chunks, with a method that has none usually",
			sent: "GET / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n",
			want: "GET / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
		{
			name: "no body, with methods that have one usually",
			sent: "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\nIdempotency-Key: k\r\nConnection: close\r\n\r\n",
			want: "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\nidempotency-key: k\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
		{
			name: "no idempotency key is made up",
			sent: "DELETE / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n",
			want: "DELETE / HTTP/1.1\r\nHost: site\r\nVia: 1.1 ramjet\r\nX-Forwarded-Host: site\r\n" + ours,
		},
	} {
		b := echo(t)
		f := startFront(t, &Proxy{RewriteHost: c.rewriteHost}, b)
		got, err := roundTrip(t, f.addr, c.sent)
		_, got, _ = strings.Cut(got, "\r\n\r\n")
		want := strings.ReplaceAll(c.want, "BACKEND", b)
		if err != nil || !slices.Equal(lines(got), lines(want)) {
			t.Errorf("%s: %v\n got %q\nwant %q", c.name, err, lines(got), lines(want))
		}
	}
}

// TestAnswers compares whole answers.
func TestAnswers(t *testing.T) {
	for _, c := range []struct{ name, method, sent, want string }{
		{"no type, no guess", "GET", "200 OK\r\nContent-Length: 6\r\n\r\n<html>", "200 OK\r\nContent-Length: 6\r\nVia: 1.1 ramjet\r\n\r\n<html>"},
		{"its own date and type", "GET", "200 OK\r\nDate: then\r\nContent-Type: x/y\r\nServer: s\r\nContent-Length: 0\r\n\r\n", "200 OK\r\nDate: then\r\nContent-Type: x/y\r\nServer: s\r\nContent-Length: 0\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"hop-by-hop fields", "GET", "200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: h2\r\nProxy-Authenticate: x\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n", "200 OK\r\nX-End: 1\r\nContent-Length: 0\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"several of a name", "GET", "200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nVia: 1.0 x\r\nContent-Length: 0\r\n\r\n", "200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nVia: 1.0 x\r\nVia: 1.1 ramjet\r\nContent-Length: 0\r\n\r\n"},
		{"encoded", "GET", "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nVia: 1.1 ramjet\r\n\r\nabc"},
		{"HEAD", "HEAD", "200 OK\r\nContent-Length: 1000\r\nContent-Type: x/y\r\n\r\n", "200 OK\r\nContent-Length: 1000\r\nContent-Type: x/y\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"HEAD of no known length", "HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 OK\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"304", "GET", "304 Not Modified\r\nETag: \"x\"\r\n\r\n", "304 Not Modified\r\nEtag: \"x\"\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"304 with a length, which net/http leaves out", "GET", "304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 77\r\n\r\n", "304 Not Modified\r\nEtag: \"x\"\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"204", "GET", "204 No Content\r\n\r\n", "204 No Content\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"204 with a body", "GET", "204 No Content\r\n\r\nhello", "204 No Content\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"too much", "GET", "200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n", "200 OK\r\nContent-Length: 2\r\nVia: 1.1 ramjet\r\n\r\nab"},
		{"chunks", "GET", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 ramjet\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
		{"chunks and a length", "GET", "200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 ramjet\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
		{"until close", "GET", "200 OK\r\n\r\nab", "200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 ramjet\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
		{"odd status", "GET", "799 Odd\r\nContent-Length: 0\r\n\r\n", "799 status code 799\r\nContent-Length: 0\r\nVia: 1.1 ramjet\r\n\r\n"},
		{"error of the backend", "GET", "500 Oh\r\nContent-Length: 1\r\n\r\nx", "500 Internal Server Error\r\nContent-Length: 1\r\nVia: 1.1 ramjet\r\n\r\nx"},
		{"early hints", "GET", "103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n", "103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\nVia: 1.1 ramjet\r\n\r\n"},
	} {
		f := startFront(t, &Proxy{}, answering(t, "HTTP/1.1 "+c.sent))
		got, err := roundTrip(t, f.addr, c.method+" / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
		if err != nil || normal(got) != normal("HTTP/1.1 "+c.want) {
			t.Errorf("%s: %v\n got %q\nwant %q", c.name, err, normal(got), normal("HTTP/1.1 "+c.want))
		}
		f.counts(t, OK)
	}
}

// normal sorts the fields of all heads, and drops the two that net/http adds.
func normal(answer string) string {
	parts := strings.SplitAfter(answer, "\r\n\r\n")
	for i, p := range parts {
		if strings.HasPrefix(p, "HTTP/") {
			l := lines(p)
			l = slices.DeleteFunc(l, func(s string) bool {
				return strings.HasPrefix(s, "Date: ") && s != "Date: then" || s == "Connection: close"
			})
			parts[i] = strings.Join(l, "|") + "||"
		}
	}
	return strings.Join(parts, "")
}

// TestHTTP10 checks that an old client gets neither chunks nor 103.
func TestHTTP10(t *testing.T) {
	f := startFront(t, &Proxy{}, answering(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"))
	got, err := roundTrip(t, f.addr, "GET / HTTP/1.0\r\n\r\n")
	if want := "HTTP/1.0 200 OK|Via: 1.1 ramjet||ab"; err != nil || normal(got) != want {
		t.Errorf("%q, %v, want %q", normal(got), err, want)
	}
}

// TestPresetFields checks what becomes of fields that are set before the proxy
// is called: they reach the client unless the backend sends its own, and an
// informational answer has none of them.
func TestPresetFields(t *testing.T) {
	f := startFront(t, &Proxy{}, answering(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nServer: farm\r\nContent-Length: 0\r\n\r\n"))
	server := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Server", "box")
		h.Set("X-Box", "1")
		h["Date"] = nil // the clock is not set yet
		f.ServeHTTP(w, r)
	}))
	got := get(t, server, "/")
	want := "HTTP/1.1 103 Early Hints|Link: </a>||Content-Length: 0|HTTP/1.1 200 OK|Server: farm|Via: 1.1 ramjet|X-Box: 1||"
	if normal(got) != want || strings.Contains(got, "Date:") {
		t.Errorf("%q", got)
	}
}

// TestTrailers sends trailers both ways, announced and not.
func TestTrailers(t *testing.T) {
	got := make(chan string, 1)
	b := handling(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		got <- fmt.Sprint(string(body), err, r.Trailer)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write([]byte("answer"))
		w.Header().Set("X-Sum", "2")
		w.Header().Set(http.TrailerPrefix+"X-Late", "3")
	})
	f := startFront(t, &Proxy{}, b)
	answer, err := roundTrip(t, f.addr, "POST / HTTP/1.1\r\nHost: site\r\nTrailer: X-Sum, X-None\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"+
		"3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Late: 2\r\nContent-Length: 5\r\nCookie: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
	if s, want := <-got, "abc<nil> map[X-Late:[2] X-None:[] X-Sum:[1]]"; s != want {
		t.Errorf("the backend got %s, want %s", s, want)
	}
	if err != nil || !strings.Contains(answer, "\r\nTrailer: X-Sum\r\n") || !strings.Contains(answer, "\r\n0\r\nX-Late: 3\r\nX-Sum: 2\r\n\r\n") {
		t.Errorf("%q, %v", answer, err)
	}
	f.counts(t, OK)
}
