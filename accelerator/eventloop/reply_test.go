package eventloop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestReply(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		in   string
		v    verdict
		want string // of a complete one
	}{
		{ok + "Content-Length: 3\r\nX: y\r\n\r\nabc", complete, "1.1 200 OK, length 3, X: y"},
		{ok + "content-length:3\r\nContent-Length: 3\r\n\r\n", complete, "1.1 200 OK, length 3"},
		{"HTTP/1.1 200\nX: y \n\n", complete, "1.1 200 , X: y "},
		{"HTTP/1.0 404 Not Found\r\n\r\n", complete, "1.0 404 Not Found, close"},
		{"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", complete, "1.0 200 OK"},
		{ok + "Transfer-Encoding: Chunked\r\nTrailer: X\r\n\r\n", complete, "1.1 200 OK, coded, trailer X"},
		{ok + "Date: x\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n\r\n", complete, "1.1 200 OK, close, Date: x"},
		{ok + "A: 1\r\nB: 2\r\nConnection: a, close\r\n\r\n", complete, "1.1 200 OK, close, B: 2"},
		{"HTTP/1.1 101 x\r\nUpgrade: ws\r\nConnection: upgrade\r\n\r\n", complete, "1.1 101 x, upgrade ws"},
		{"HTTP/1.1 101 x\r\nUpgrade: ws\r\n\r\n", complete, "1.1 101 x"},

		{"", needMore, ""},
		{"HTTP/1.1 200 OK\r\nX: y\r\n", needMore, ""},

		{"HTTP/2.0 200 OK\r\n\r\n", notMine, ""},
		{"HTTP/1.2 200 OK\r\n\r\n", notMine, ""},
		{"HTTP/1.1 2000 OK\r\n\r\n", notMine, ""},
		{"HTTP/1.1 099 OK\r\n\r\n", notMine, ""},
		{"HTTP/1.1  200 OK\r\n\r\n", notMine, ""},
		{"ICY 200 OK\r\n\r\n", notMine, ""},
		{"\r\n" + ok + "\r\n", notMine, ""},
		{"HTTP/1.1 200 O\x00K\r\n\r\n", notMine, ""},
		{ok + "X : y\r\n\r\n", notMine, ""},
		{ok + " X: y\r\n\r\n", notMine, ""},
		{ok + "X: y\r\n z\r\n\r\n", notMine, ""},
		{ok + "X\r\n\r\n", notMine, ""},
		{ok + "X: a\rb\r\n\r\n", notMine, ""},
		{ok + "Content-Length: 03\r\nContent-Length: 3\r\n\r\n", notMine, ""},
		{ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", notMine, ""},
		{ok + "Content-Length: 3, 3\r\n\r\n", notMine, ""},
		{ok + "Content-Length: -1\r\n\r\n", notMine, ""},
		{ok + "Content-Length:\r\n\r\n", notMine, ""},
		{ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", notMine, ""},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", notMine, ""},
		{ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", notMine, ""},
		{ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", notMine, ""},
		{ok + strings.Repeat("X: y\r\n", maxReplyFields+1) + "\r\n", notMine, ""},
	}
	for _, test := range tests {
		var r reply
		if v := r.parse([]byte(test.in)); v != test.v || v == complete && r.summary() != test.want {
			t.Errorf("%q: %v, %q", test.in, v, r.summary())
		}
	}
}

// summary says what was understood.
func (r *reply) summary() string {
	s := fmt.Sprintf("1.%d %d %s", r.minor, r.status, r.reason)
	if r.length >= 0 {
		s += fmt.Sprint(", length ", r.length)
	}
	if r.coded {
		s += ", coded"
	}
	if r.close {
		s += ", close"
	}
	if r.trailer != nil {
		s += ", trailer " + string(r.trailer)
	}
	if r.upgrade != nil {
		s += ", upgrade " + string(r.upgrade)
	}
	for _, line := range r.lines {
		s += ", " + string(line)
	}
	return s
}

// Whatever is taken for a head, net/http takes for one with the same status, the
// same length and the same fields: so nobody behind us reads it differently.
func FuzzReply(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.0 301 \nTransfer-encoding: chunked\nConnection: a, keep-alive\nA: b\n\n"))
	f.Add([]byte("HTTP/1.1 101 Switching\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r reply
		if r.parse(b) != complete {
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: "GET"})
		if err != nil {
			t.Fatalf("%q: %v", b[:r.size], err)
		}
		if res.StatusCode != r.status || res.ProtoMinor != int(r.minor) {
			t.Errorf("%q: status %d, version 1.%d", b[:r.size], res.StatusCode, res.ProtoMinor)
		}
		bodiless := r.status < 200 || r.status == 204 || r.status == 304
		if chunked := len(res.TransferEncoding) == 1; !bodiless && (chunked != r.coded || !chunked && res.ContentLength != r.length) {
			t.Errorf("%q: net/http sees a length of %d, coding %v; we %d, %v", b[:r.size], res.ContentLength, res.TransferEncoding, r.length, r.coded)
		}
		for _, line := range r.lines {
			name, value, _ := cutField(line)
			if values := res.Header.Values(string(name)); !contains(values, string(value)) {
				t.Errorf("%q: %s: %q is passed on, net/http has %q", b[:r.size], name, value, values)
			}
		}
	})
}

func contains(values []string, want string) bool {
	for _, v := range values {
		if v == want {
			return true
		}
	}
	return false
}

// body takes a body apart that comes in pieces of n bytes.
func (f *framing) all(b []byte, n int) (payload []byte, rest int, done, ok bool) {
	b = bytes.Clone(b)
	for len(b) > 0 && !done {
		piece := b[:min(n, len(b))]
		var p, behind []byte
		if p, behind, done, ok = f.take(piece); !ok {
			return payload, 0, false, false
		}
		payload = append(payload, p...)
		b = b[len(piece)-len(behind):]
	}
	return payload, len(b), done, true
}

func TestFraming(t *testing.T) {
	tests := []struct {
		in       string
		ok, done bool
		payload  string
		trailer  string
	}{
		{"3\r\nabc\r\n0\r\n\r\n", true, true, "abc", ""},
		{"1\r\na\r\n00002 ; x=\"y\"\r\nbc\r\n0\r\n\r\nHTTP", true, true, "abc", ""},
		{"A\r\n0123456789\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n", true, true, "0123456789", "X: y\r\n"},
		{"0\r\n\r\n", true, true, "", ""},
		{"3\r\nab", true, false, "ab", ""},

		{"\r\n", false, false, "", ""},
		{"3\nabc\r\n", false, false, "", ""},
		{"3\r\nabcd\r\n", false, false, "", ""},
		{"0 0\r\n\r\n", false, false, "", ""},
		{"-1\r\n", false, false, "", ""},
		{"0x3\r\nabc\r\n", false, false, "", ""},
		{"3;\x00\r\nabc\r\n", false, false, "", ""},
		{"FFFFFFFFFFFFFFFFF\r\n", false, false, "", ""},
		{"0\r\nX y\r\n\r\n", false, false, "", ""},
		{"0\r\nX: y\n\r\n", false, false, "", ""},
		{"0\r\n" + strings.Repeat("X: y\r\n", 1000) + "\r\n", false, false, "", ""},
		{"1;" + strings.Repeat("x", maxExtension+1), false, false, "", ""},
	}
	for _, test := range tests {
		for n := 1; n <= len(test.in); n++ {
			var f framing
			f.reset(inChunks, 0)
			payload, _, done, ok := f.all([]byte(test.in), n)
			if ok != test.ok || ok && (done != test.done || string(payload) != test.payload || string(f.trailer) != test.trailer) {
				t.Errorf("%q in pieces of %d: ok %v, done %v, %q, %q", test.in, n, ok, done, payload, f.trailer)
				break
			}
		}
	}
}

// What is taken for a whole body in chunks net/http takes for the same one.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\nrest"), 2)
	f.Add([]byte("1;a=b\r\na\r\n2 \r\nbc\r\n0\r\nX: y\r\n\r\n"), 100)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		var own framing
		own.reset(inChunks, 0)
		payload, rest, done, ok := own.all(b, max(n, 1))
		if !ok || !done {
			return
		}
		head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		in := bufio.NewReader(io.MultiReader(strings.NewReader(head), bytes.NewReader(b)))
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("%q: net/http says %v", b, err)
		}
		behind, _ := io.ReadAll(in)
		if !bytes.Equal(payload, want) || rest != len(behind) {
			t.Errorf("%q: %q with %d bytes behind it, net/http has %q with %d", b, payload, rest, want, len(behind))
		}
	})
}
