package http1

import (
	"strings"
	"testing"
)

// trace is what a framer made of an input.
type trace struct {
	out    string // what it let through
	ends   []int  // where in out each message ends
	reason Reason
}

// follow runs in through a framer in pieces of the sizes that cut returns.
// Behind a possible tunnel it goes on with the next request.
func follow(in string, cut func() int) (t trace) {
	f := framer{headBytes: 1000, headFields: 10}
	var out strings.Builder
	defer func() { t.out = out.String() }()
	b := []byte(in)
	for len(b) > 0 {
		piece := b[:min(max(1, cut()), len(b))]
		before := f.messages
		skip, n, r := f.scan(piece)
		out.Write(piece[skip : skip+n])
		if b = b[skip+n:]; r != None {
			t.reason = r
			return t
		}
		if f.messages > before {
			t.ends = append(t.ends, out.Len())
		}
		if f.state == onHold {
			f.resume()
		}
	}
	return t
}

func bytewise() int { return 1 }

// wrongs are heads and bodies that must be refused. Behind each the client put
// another request, which must never be seen.
var wrongs = []struct {
	name, in string
	want     Reason
}{
	{"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"a tab in the request line", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"space at the end of the request line", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BadRequestLine},
	{"space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"HTTP/0.9", "GET /\r\n\r\n", BadRequestLine},
	{"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", BadRequestLine},
	{"short version", "GET / HTTP/1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"no method", "/ HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"three empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BadRequestLine},
	{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BadRequestLine},
	{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", BadVersion},
	{"HTTP/0.9 in words", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", BadVersion},
	{"bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", BareCR},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BareCR},
	{"bare CR at the end", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", BareCR},
	{"bare CR before the request", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareCR},
	{"bare LF before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLF},
	{"bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", BadRequestLine},
	{"bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", BareLF},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", BareLF},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", ControlByte},
	{"vertical tab in Transfer-Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n", ControlByte},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", ControlByte},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", BadFieldName},
	{"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", BadFieldName},
	{"name with a slash", "GET / HTTP/1.1\r\nHost: a\r\nA/B: x\r\n\r\n", BadFieldName},
	{"name with an umlaut", "GET / HTTP/1.1\r\nHost: a\r\n\xfc: x\r\n\r\n", BadFieldName},
	{"space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", SpaceBeforeColon},
	{"tab before the colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", SpaceBeforeColon},
	{"folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", FoldedLine},
	{"folded Transfer-Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n", FoldedLine},
	{"white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", FoldedLine},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", HostMissing},
	{"CONNECT without Host", "CONNECT a:1 HTTP/1.1\r\n\r\n", HostMissing},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", HostRepeated},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", HostRepeated},
	{"half an address", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HostMalformed},
	{"a port with a letter", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", HostMalformed},
	{"a user in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", HostMalformed},
	{"a list in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HostMalformed},
	{"an endless Host", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 600) + "\r\n\r\n", HostMalformed},
	{"signed length", post("Content-Length: +5") + "hello", LengthMalformed},
	{"negative length", post("Content-Length: -5") + "hello", LengthMalformed},
	{"hexadecimal length", post("Content-Length: 0x5") + "hello", LengthMalformed},
	{"list of lengths", post("Content-Length: 5, 5") + "hello", LengthMalformed},
	{"length with a space inside", post("Content-Length: 5 0") + "hello", LengthMalformed},
	{"fraction", post("Content-Length: 5.0") + "hello", LengthMalformed},
	{"digit separator", post("Content-Length: 1_0") + "hello", LengthMalformed},
	{"empty length", post("Content-Length:") + "hello", LengthMalformed},
	{"length above 2^63-1", post("Content-Length: 9223372036854775808"), LengthMalformed},
	{"length above 2^64", post("Content-Length: 18446744073709551621"), LengthMalformed},
	{"endless length", post("Content-Length: " + strings.Repeat("0", 600) + "5"), LengthMalformed},
	{"two equal lengths", post("Content-Length: 5", "Content-Length: 5") + "hello", LengthRepeated},
	{"two lengths", post("Content-Length: 5", "content-length: 6") + "hello!", LengthRepeated},
	{"CL.TE", post("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", LengthAndCoding},
	{"TE.CL", post("Transfer-Encoding: chunked", "Content-Length: 0") + "0\r\n\r\n", LengthAndCoding},
	{"TE.CL, unknown coding", post("Transfer-Encoding: xchunked", "Content-Length: 5") + "hello", LengthAndCoding},
	{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CodingInOldVersion},
	{"TE.TE", post("Transfer-Encoding: chunked", "Transfer-Encoding: x") + "0\r\n\r\n", CodingMalformed},
	{"chunked twice", post("Transfer-Encoding: chunked, chunked") + "0\r\n\r\n", CodingMalformed},
	{"identity", post("Transfer-Encoding: identity"), CodingMalformed},
	{"chunked and nothing", post("Transfer-Encoding: chunked,"), CodingMalformed},
	{"nothing and chunked", post("Transfer-Encoding: ,chunked"), CodingMalformed},
	{"chunked with a parameter", post("Transfer-Encoding: chunked;q=1"), CodingMalformed},
	{"chunked in quotes", post(`Transfer-Encoding: "chunked"`), CodingMalformed},
	{"empty coding", post("Transfer-Encoding:"), CodingMalformed},
	{"endless codings", post("Transfer-Encoding: " + strings.Repeat("a,", 300) + "chunked"), CodingMalformed},
	{"gzip, chunked", post("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", CodingUnknown},
	{"gzip and chunked", post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked") + "0\r\n\r\n", CodingUnknown},
	{"CONNECT with a body", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello", ConnectWithBody},
	{"a head too large", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 1000) + "\r\n\r\n", HeadTooLarge},
	{"a target too large", "GET /" + strings.Repeat("a", 1000) + " HTTP/1.1\r\nHost: a\r\n\r\n", HeadTooLarge},
	{"too many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 10) + "\r\n", TooManyFields},
	{"no chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"signed chunk size", chunked("+5\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"0x chunk size", chunked("0x5\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"space before the chunk size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"space behind the chunk size", chunked("5 \r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"space before an extension", chunked("5 ;a\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"bare LF behind the chunk size", chunked("5\nhello\r\n0\r\n\r\n"), BadChunk},
	{"bare CR behind the chunk size", chunked("5\rhello\r\n0\r\n\r\n"), BadChunk},
	{"17 digits", chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"chunk size that wraps", chunked("fffffffffffffffb\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"chunk longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"chunk that ends in LF", chunked("5\r\nhello\n0\r\n\r\n"), BadChunk},
	{"LF in a chunk extension", chunked("5;a\nhello\r\n0\r\n\r\n"), BadChunk},
	{"CR in a chunk extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"line end in a quoted extension", chunked("5;a=\"\r\nhello\"\r\n0\r\n\r\n"), BadChunk},
	{"empty extension", chunked("5;\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"extension without value", chunked("5;a=\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"endless extension", chunked("5;" + strings.Repeat("a", 1100) + "\r\nhello\r\n0\r\n\r\n"), BadChunk},
	{"many extensions", chunked(strings.Repeat("1;"+strings.Repeat("a", 900)+"\r\nx\r\n", 10) + "0\r\n\r\n"), BadChunk},
	{"length in the trailer", chunked("0\r\nContent-Length: 5\r\n\r\n"), BadTrailer},
	{"coding in the trailer", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), BadTrailer},
	{"Host in the trailer", chunked("0\r\nHost: b\r\n\r\n"), BadTrailer},
	{"folded trailer", chunked("0\r\n X: y\r\n\r\n"), BadTrailer},
	{"bare LF behind the trailer", chunked("0\r\n\n"), BadTrailer},
	{"endless trailer", chunked("0\r\nX: " + strings.Repeat("a", 4000) + "\r\n\r\n"), BadTrailer},
}

func post(fields ...string) string {
	return "POST /p HTTP/1.1\r\nHost: a\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
}

func chunked(body string) string { return post("Transfer-Encoding: chunked") + body }

const next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

func TestFramerRefuses(t *testing.T) {
	for _, test := range wrongs {
		for _, first := range []string{"", "GET /first HTTP/1.1\r\nHost: a\r\n\r\n", post("Content-Length: 5") + "hello", chunked("0\r\nX: y\r\n\r\n")} {
			got := follow(first+test.in+next, bytewise)
			if got.reason != test.want || strings.Contains(got.out, "smuggled") {
				t.Errorf("%s: reason %v, want %v; let through %q", test.name, got.reason, test.want, got.out)
			}
		}
	}
}

// rights are requests that are accepted, one message each.
var rights = []struct{ name, in string }{
	{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"},
	{"a later minor version", "GET / HTTP/1.7\r\nHost: a\r\n\r\n"},
	{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
	{"white space around values", "GET / HTTP/1.1\r\nHost:\t a \t\r\nX:\r\nY: \tz \r\n\r\n"},
	{"obs-text", "GET /\xff HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n"},
	{"address and port", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n"},
	{"unusual name", "GET / HTTP/1.1\r\nHost: a_b.%41~:\r\n\r\n"},
	{"absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"own method", "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"length", post("Content-Length: \t5 ") + "hello"},
	{"length with zeros", post("Content-Length: 0005") + "hello"},
	{"length zero", post("Content-Length: 0")},
	{"GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"},
	{"chunked", chunked("5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\n")},
	{"CHUNKED", post("Transfer-Encoding: CHUNKED ") + "5\r\nhello\r\n000\r\n\r\n"},
	{"extensions", chunked("5;a;b=c ; d = \"x;\\\"y\"; e=f\r\nhello\r\n5;x\t;y\r\nhello\r\n0;z\r\n\r\n")},
	{"signed chunks", chunked(strings.Repeat("64;chunk-signature="+strings.Repeat("a", 64)+"\r\n"+strings.Repeat("x", 100)+"\r\n", 500) + "0\r\n\r\n")},
	{"trailer", chunked("0\r\nX: y\r\nZ:\r\n\r\n")},
	{"upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"},
	{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"},
}

func TestFramerAccepts(t *testing.T) {
	for _, test := range rights {
		in := test.in + "\r\n\r\n" + test.in
		got := follow(in, bytewise)
		want := test.in + test.in
		if got.reason != None || got.out != want || len(got.ends) != 2 || got.ends[0] != len(test.in) {
			t.Errorf("%s: reason %v, let through %q, messages end at %v", test.name, got.reason, got.out, got.ends)
		}
	}
}

func TestReasonsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for r, row := range Reasons {
		if row.Name == "" || row.Text == "" || seen[row.Name] {
			t.Errorf("row %d of Reasons is empty or has a name twice: %+v", r, row)
		}
		seen[row.Name] = true
	}
}
