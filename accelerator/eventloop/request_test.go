package eventloop

import (
	"fmt"
	"strings"
	"testing"
)

const start = "GET /a HTTP/1.1\r\nHost: a\r\n"

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		v    verdict
		why  Reason
		want string // of a complete one: what summary says
	}{
		{"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET", complete, none, "GET /a 1.1"},
		{"HEAD /a HTTP/1.0\r\n\r\n", complete, none, "HEAD /a 1.0 close"},
		{"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", complete, none, "GET /a 1.0"},
		{start + "Connection: keep-alive ,\tCLOSE\r\n\r\n", complete, none, "GET /a 1.1 close cut 2"},
		{"\r\n\r\n" + start + "\r\n", complete, none, "GET /a 1.1"},
		{"GET /a?b?c%zz HTTP/1.1\r\nHost: a\r\n\r\n", complete, none, "GET /a?… 1.1"},
		{"GET /%41 HTTP/1.1\r\nHost: a:65535\r\n\r\n", complete, none, "GET /%41 escaped 1.1"},
		{start + "If-None-Match: \t\"a\" \t\r\nACCEPT-ENCODING:br\r\nIf-Modified-Since:\r\n\r\n", complete, none, `GET /a 1.1 inm "a" ae br ims`},
		{start + "X: \xff\tb\r\nUser-Agent: me\r\nReferer: you\r\n\r\n", complete, none, "GET /a 1.1"},

		{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", complete, none, "POST /a 1.1 odd body length 5 cut 2"},
		{"OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", complete, none, "OPTIONS /a 1.1 odd method"},
		{start + "Content-Length: 0\r\n\r\n", complete, none, "GET /a 1.1 odd body length 0 cut 2"},
		{start + "Connection: close\r\nConnection: close\r\n\r\n", complete, none, "GET /a 1.1 close odd repeated_field rare repeated_field cut 3"},
		{start + "If-None-Match:\r\nIf-None-Match: *\r\n\r\n", complete, none, "GET /a 1.1 inm  odd repeated_field"},
		{start + "Connection: upgrade\r\n\r\n", complete, none, "GET /a 1.1 odd connection rare upgrade cut 2"},
		{start + "Connection: close,\r\n\r\n", complete, none, "GET /a 1.1 close odd connection rare connection cut 2"},
		{start + "Expect: 100-continue\r\n\r\n", complete, none, "GET /a 1.1 odd expect rare expect"},
		{start + "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", complete, none, "GET /a 1.1 odd connection rare upgrade cut 3"},
		{start + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", complete, none, "GET /a 1.1 odd connection cut 3"},
		{start + "Range: bytes=0-\r\n\r\n", complete, none, "GET /a 1.1 odd range"},
		{start + "If-Range: \"a\"\r\n\r\n", complete, none, "GET /a 1.1 odd range"},
		{start + "If-Match: *\r\n\r\n", complete, none, "GET /a 1.1 odd precondition"},
		{start + "If-Unmodified-Since: x\r\n\r\n", complete, none, "GET /a 1.1 odd precondition"},
		{start + "TE: trailers\r\n\r\n", complete, none, "GET /a 1.1 rare connection"},
		{start + "Via: 1.1 a\r\n\r\n", complete, none, "GET /a 1.1 rare via"},
		{start + "X-Forwarded-For: a\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: a\r\nForwarded: a\r\nKeep-Alive: a\r\n\r\n", complete, none, "GET /a 1.1 cut 6"},

		{"", needMore, none, ""},
		{"\r", needMore, none, ""},
		{"GE", needMore, none, ""},
		{"GET /a HTTP/1", needMore, none, ""},
		{start + "X", needMore, none, ""},
		{start + "X: y\r", needMore, none, ""},
		{start + "\r", needMore, none, ""},

		{"get", notMine, Method, ""},
		{"\r\n\r\n\r\nGET / HTTP/1.1\r\n", notMine, Method, ""},
		{"\rGET", notMine, Method, ""},
		{"GET http://a/ HTTP/1.1\r\n", notMine, TargetForm, ""},
		{"GET * ", notMine, TargetForm, ""},
		{"GET  /", notMine, RequestLine, ""},
		{"GET /\t", notMine, RequestLine, ""},
		{"GET /\x7f", notMine, RequestLine, ""},
		{"GET /a HTTP/1.1\n\r\n", notMine, RequestLine, ""},
		{"GET /a HTTP/1.2\r\n", notMine, Version, ""},
		{"GET /a HTTP/2.0\r\n", notMine, Version, ""},
		{start + "X y\r\n", notMine, FieldLine, ""},
		{start + "X : y\r\n", notMine, FieldLine, ""},
		{start + " X: y\r\n", notMine, FieldLine, ""},
		{start + "X: a\x00", notMine, FieldLine, ""},
		{start + "X: a\nY: b\r\n", notMine, FieldLine, ""},
		{start + "X: a\rY", notMine, FieldLine, ""},
		{start + "\rX", notMine, FieldLine, ""},
		{start + strings.Repeat("X: y\r\n", 64), notMine, HeadSize, ""},
		{"GET / HTTP/1.1\r\n\r\n", notMine, Host, ""},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", notMine, Host, ""},
		{"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", notMine, Host, ""},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", notMine, Host, ""},
		{"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", notMine, Host, ""},
		{start + "hOST: a\r\n", notMine, RepeatedField, ""},
		{"TRACE / HTTP/1.1\r\n", notMine, Method, ""},
		{start + "Content-Length: 0\r\nContent-Length: 0\r\n", notMine, Body, ""},
		{start + "Content-Length: +1\r\n", notMine, Body, ""},
		{start + "Content-Length: 1,1\r\n", notMine, Body, ""},
		{start + "Content-Length: 123456789012345678\r\n", notMine, Body, ""},
		{start + strings.Repeat("Keep-Alive: 1\r\n", maxCuts), notMine, HeadSize, ""},
		{start + "Transfer-Encoding: chunked\r\n", notMine, Body, ""},
	}
	for _, test := range tests {
		var r request
		v, why := r.parse([]byte(test.in))
		if v != test.v || v == notMine && why != test.why || v == complete && r.summary() != test.want {
			t.Errorf("%q: %v, %v, %q", test.in, v, why, r.summary())
		}
	}
}

// summary says what was understood.
func (r *request) summary() string {
	s := methods[r.method] + string(r.path)
	if r.hasQuery {
		s += "?…"
	}
	if r.escaped {
		s += " escaped"
	}
	s += fmt.Sprintf(" 1.%d", r.minor)
	if r.close {
		s += " close"
	}
	for name, value := range map[string][]byte{"inm": r.ifNoneMatch} {
		if value != nil {
			s += " " + name + " " + string(value)
		}
	}
	if r.acceptEncoding != nil {
		s += " ae " + string(r.acceptEncoding)
	}
	if r.ifModifiedSince != nil {
		s += strings.TrimRight(" ims "+string(r.ifModifiedSince), " ")
	}
	if r.odd != none {
		s += " odd " + r.odd.String()
	}
	if r.rare != none && r.minor == 1 {
		s += " rare " + r.rare.String()
	}
	if r.length >= 0 {
		s += fmt.Sprint(" length ", r.length)
	}
	if r.numCuts > 1 { // Host is always cut.
		s += fmt.Sprint(" cut ", r.numCuts)
	}
	return s
}

// A complete head is complete whatever follows, and no part of it is anything but
// the beginning of one: so it does not matter in which pieces it comes.
func FuzzParse(f *testing.F) {
	f.Add([]byte("\r\nGET /a%41?b HTTP/1.1\r\nHost: a:1\r\nIf-None-Match: \"a\"\r\nConnection: close\r\n\r\n"))
	f.Add([]byte("HEAD / HTTP/1.0\r\nA:\tb\r\nAccept-Encoding: br\r\n\r\nGET"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, part request
		if v, _ := whole.parse(b); v != complete {
			return
		}
		for n := range whole.size {
			if v, why := part.parse(b[:n:n]); v != needMore {
				t.Fatalf("%q is a head, and of its first %d bytes: %v, %v", b[:whole.size], n, v, why)
			}
		}
		if v, _ := part.parse(b[:whole.size:whole.size]); v != complete || part.summary() != whole.summary() {
			t.Fatalf("%q is %q, by itself %q", b[:whole.size], whole.summary(), part.summary())
		}
	})
}

func TestPlain(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, bad := range []byte{0, '\t', '\r', 0x1f, 0x7f} {
				b := []byte(strings.Repeat("\xff\x80 ~", 10)[:n])
				b[at] = bad
				if got := plain(b); got != at {
					t.Fatalf("%q: the first %d", b, got)
				}
			}
		}
	}
}

func TestAnyMatches(t *testing.T) {
	for _, test := range []struct {
		list    string
		matches bool
		why     Reason
	}{
		{`"a"`, true, none}, {`W/"a"`, true, none}, {`"b", "a"`, true, none}, {`"b" ,W/"a" `, true, none}, {`*`, true, none},
		{`"b"`, false, none}, {`"a b"`, false, Precondition}, {`"b",`, false, Precondition}, {`a`, false, Precondition},
		{`w/"a"`, false, Precondition}, {`"a`, false, Precondition}, {`"b" "a"`, false, Precondition}, {`"b", *`, false, Precondition},
	} {
		matches, why := anyMatches([]byte(test.list), `"a"`)
		if why != test.why || why == none && matches != test.matches {
			t.Errorf("%s: %v, %v", test.list, matches, why)
		}
	}
}
