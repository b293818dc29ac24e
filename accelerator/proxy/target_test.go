package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestOriginFormRefuses(t *testing.T) {
	for _, target := range []string{
		"", "*", "a", "a/b", "http:", "http:/a", "http://", "http:///a", "http://?q", "ftp://a/b", "a:80", "://a/",
		"/a b", "/a\tb", "/a\rb", "/a\nb", "/\x00", "/\x7f", "http://a/ b", " /", "/ ",
	} {
		if got, ok := OriginForm("GET", target); ok {
			t.Errorf("%q: %q", target, got)
		}
	}
}

func TestOriginForm(t *testing.T) {
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/", "/"},
		{"GET", "/a%2fb/../x?y=a;b", "/a%2fb/../x?y=a;b"},
		{"GET", "//a//b", "//a//b"},
		{"GET", "/http://a/b", "/http://a/b"},
		{"GET", "http://a", "/"},
		{"GET", "HTTP://a/", "/"},
		{"GET", "https://a:8/b?c", "/b?c"},
		{"GET", "http://a?c/d", "/?c/d"},
		{"GET", "http://a//b", "//b"},
		{"OPTIONS", "*", "*"},
		{"OPTIONS", "http://a", "*"},
		{"OPTIONS", "http://a/", "/"},
	} {
		if got, ok := OriginForm(c.method, c.target); !ok || got != c.want {
			t.Errorf("%s %s: %q, %v, want %q", c.method, c.target, got, ok, c.want)
		}
	}
}

// TestTargetUnaltered sends targets through the whole proxy to a backend that
// echoes the request line.
func TestTargetUnaltered(t *testing.T) {
	b := rawBackend(t, func(w *wire) {
		for {
			line, _, _ := strings.Cut(w.head(), "\r\n")
			if line == "" {
				return
			}
			w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(line), line))
		}
	})
	f := startFront(t, &Proxy{}, b)
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/a%2fb/../x?y=a;b", ""},
		{"GET", "/a%2Fb/./x?y=a&b=%zz", ""},
		{"GET", "/?", ""},
		{"GET", "/a?b?c#d", ""},
		{"GET", "/a//b", ""},
		{"GET", "//a/b", ""},
		{"GET", "//", ""},
		{"GET", "///?x", ""},
		{"GET", "//a?", ""},
		{"GET", "//user@host:80/%2f;p=1?q=//", ""},
		{"GET", "//a|b?x", "GET http://site//a|b?x HTTP/1.1"},
		{"GET", "//caf\xc3\xa9", "GET http://site//caf\xc3\xa9 HTTP/1.1"},
		{"GET", "/caf\xc3\xa9/\xff?\xfe", ""},
		{"GET", "/a|b\\c^d`e{f}\"<>", ""},
		{"GET", "/cgi-bin/x.cgi?+a+%20", ""},
		{"GET", "/" + strings.Repeat("long/", 3000), ""},
		{"GET", "http://site/a/../b?c", "GET /a/../b?c HTTP/1.1"},
		{"GET", "http://site", "GET / HTTP/1.1"},
		{"GET", "http://site//x", "GET //x HTTP/1.1"},
		{"OPTIONS", "*", ""},
		{"OPTIONS", "http://site", "OPTIONS * HTTP/1.1"},
		{"PROPFIND", "/dav/", ""},
		{"delete", "/case", ""},
	} {
		got, err := roundTrip(t, f.addr, c.method+" "+c.target+" HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
		if c.want == "" {
			c.want = c.method + " " + c.target + " HTTP/1.1"
		}
		if _, body, _ := strings.Cut(got, "\r\n\r\n"); err != nil || body != c.want {
			t.Errorf("%s %.60s\n got %q %v\nwant %q", c.method, c.target, got, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	touched := rawBackend(t, func(*wire) { t.Error("a backend was connected to") })
	for _, c := range []struct{ request, status string }{
		{"CONNECT site:80 HTTP/1.1\r\nHost: site:80\r\n\r\n", "501"},
		{"GET * HTTP/1.1\r\nHost: site\r\n\r\n", "400"},
		{"GET ftp://site/a HTTP/1.1\r\nHost: site\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: site\r\nVia: 1.1 ramjet, 1.0 other\r\nVia: 1.1 ramjet (box), 2 RAMJET\r\n\r\n", "508"},
		{"GET / HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: caf\xe9\r\n\r\n", "400"},
	} {
		f := startFront(t, &Proxy{}, touched)
		w := dial(t, f.addr)
		w.send(c.request)
		if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 "+c.status) {
			t.Errorf("%q: %q", c.request, head)
		}
		f.counts(t, Refused)
	}
}

func TestTimesThrough(t *testing.T) {
	for _, c := range []struct {
		via  string
		want int
	}{
		{"", 0}, {"ramjet", 0}, {",", 0}, {"1.1 ramjets", 0}, {"1.1 a (ramjet)", 0}, {"1.1 other", 0},
		{"1.1 ramjet", 1}, {" HTTP/1.1  Ramjet , 1.0 x", 1}, {"1.1 ramjet (c),2 ramjet", 2},
	} {
		if got := timesThrough([]string{c.via}); got != c.want {
			t.Errorf("%q: %d, want %d", c.via, got, c.want)
		}
	}
}

// FuzzTarget checks that whatever is accepted is written by net/http as one
// request line, and as it was received.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "//a|b?c", "//%", "http://h//x?y#z", "*", "/ x", "//\r\nGET /", "//a%2f/../b?"} {
		f.Add("GET", s)
		f.Add("OPTIONS", s)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		if method != "GET" && method != "OPTIONS" {
			return
		}
		got, ok := OriginForm(method, target)
		if !ok {
			return
		}
		if got != "*" && !strings.HasSuffix(target, got[1:]) {
			t.Fatalf("%q became %q", target, got)
		}
		u := &url.URL{Scheme: "http", Host: "backend:80"}
		setTarget(u, got, "site")
		r := &http.Request{Method: method, URL: u, Host: "site", Header: http.Header{}}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		line, _, _ := strings.Cut(b.String(), "\r\n")
		if line != method+" "+got+" HTTP/1.1" && line != method+" http://site"+got+" HTTP/1.1" {
			t.Fatalf("%q went out as %q", target, line)
		}
	})
}
