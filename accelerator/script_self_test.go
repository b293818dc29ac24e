package main

import (
	"bufio"
	"strings"
	"testing"
)

// The scripts are worth what the reader of the answers is worth.
func TestReadAnswerIsStrict(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, text := range map[string]string{
		"nothing":                    "",
		"no status":                  "HTTP/1.1 OK\r\n\r\n",
		"no space behind the status": "HTTP/1.1 200\r\n\r\n",
		"another version":            "HTTP/2.0 200 OK\r\n\r\n",
		"a bare line feed":           "HTTP/1.1 200 OK\n\r\n",
		"a bare end":                 ok + "\n",
		"a bare carriage return":     ok + "A: 1\r2\r\n\r\n",
		"no end":                     ok + "A: 1\r\n",
		"a space before the colon":   ok + "A : 1\r\n\r\n",
		"no colon":                   ok + "A\r\n\r\n",
		"a folded line":              ok + "A: 1\r\n 2\r\n\r\n",
		"a control character":        ok + "A: \a\r\n\r\n",
		"two lengths":                ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
		"a list of lengths":          ok + "Content-Length: 1, 1\r\n\r\na",
		"a negative length":          ok + "Content-Length: -1\r\n\r\n",
		"too short":                  ok + "Content-Length: 2\r\n\r\na",
		"length and coding":          ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"another coding":             ok + "Transfer-Encoding: gzip\r\n\r\n",
		"no last chunk":              ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
		"a chunk without a size":     ok + "Transfer-Encoding: chunked\r\n\r\n\r\na\r\n",
		"a chunk that is longer":     ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
		"204 with a length":          "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
		"100 with a length":          "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
	} {
		if a, err := readAnswer(bufio.NewReader(strings.NewReader(text)), "GET"); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
	for _, test := range []struct{ method, text, body, rest string }{
		{"GET", ok + "Content-Length: 2\r\n\r\nabc", "ab", "c"},
		{"GET", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\nd", "abc", "d"},
		{"GET", ok + "A:\t x \t\r\nB:\r\nC: \xff\r\n\r\nabc", "abc", ""},
		{"HEAD", ok + "Content-Length: 2\r\n\r\nH", "", "H"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nH", "", "H"},
		{"GET", "HTTP/1.1 204 \r\n\r\nH", "", "H"},
	} {
		r := bufio.NewReader(strings.NewReader(test.text))
		a, err := readAnswer(r, test.method)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		rest, _ := r.Peek(r.Buffered())
		if string(a.body) != test.body || string(rest) != test.rest {
			t.Errorf("%q: body %q, behind it %q", test.text, a.body, rest)
		}
	}
}

func TestJudge(t *testing.T) {
	for name, head := range map[string]string{
		"a field twice":         "200 OK\r\nETag: \"a\"\r\nEtag: \"a\"",
		"a date of its own":     "200 OK\r\nDate: 2024-05-01",
		"405 without Allow":     "405 Method Not Allowed\r\nA: 1",
		"416 without a length":  "416 Range Not Satisfiable\r\nA: 1",
		"206 without a range":   "206 Partial Content\r\nContent-Type: text/plain",
		"206 without a type":    "206 Partial Content\r\nContent-Range: bytes 0-0/1",
		"400 that is kept open": "400 Bad Request\r\nA: 1",
	} {
		a, err := readAnswer(bufio.NewReader(strings.NewReader("HTTP/1.1 "+head+"\r\nContent-Length: 0\r\n\r\n")), "GET")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if a.judge() == nil {
			t.Errorf("%s is nothing to complain of", name)
		}
	}
}

// Every kind of expectation is met by what it says, and by nothing else.
func TestExpectations(t *testing.T) {
	const text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nA: 1\r\nB: 2\r\nB: 3\r\nX-Farm: echo\r\n\r\n0123456789"
	const echo = "HTTP/1.1 200 OK\r\nX-Farm: echo\r\n\r\nPUT /x HTTP/1.1\r\nA: 1\r\n\r\nhello"
	const parts = "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n" +
		"--x\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--x--\r\n"
	const sum = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
	for _, test := range []struct {
		answer, lines string
		met           bool
	}{
		{text, "<  A: 2", false}, {text, "<  B: 2", false}, {text, "<  B: 3\n<  B: 2", false}, {text, "<  C: 1", false},
		{text, "<  A: 1\n<  B: 2\n<  B: 3", true}, {text, "<  a: 1", true},
		{text, "<! A", false}, {text, "<! C", true},
		{text, "<~ A: ^2$", false}, {text, "<~ B: 2", false}, {text, "<~ C: .*", false}, {text, "<~ A: ^[0-9]$", true},
		{text, "<keep C as c", false}, {text, "<keep A as a\n<  A: {a}", true},
		{text, `<body "012345678"`, false}, {text, `<body "0123456789"`, true}, {text, "<body empty", false},
		{text, `<body contains "x"`, false}, {text, `<body contains "345"`, true}, {text, `<body lacks "345"`, false}, {text, `<body lacks "x"`, true},
		{text, "<body file d", true}, {text, "<body file d 0-8", false}, {text, "<body file d 0-10", false}, {text, "<body file none", false},
		{text, "<body sha256 00", false}, {text, "<body sha256 " + sum, true},
		{text, "<parts d 0-9", false}, {text, "<within 1h", true},
		{text, "<farm GET /x HTTP/1.1", false},
		{echo, "<farm GET /x HTTP/1.1", false}, {echo, "<farm PUT /x HTTP/1.1", true},
		{echo, "<farm A: 2", false}, {echo, "<farm A: 1", true}, {echo, "<farm! A", false}, {echo, "<farm~ A: 2", false},
		{echo, `<farmbody "hell"`, false}, {echo, `<farmbody "hello"`, true},
		{parts, "<parts d 0-1 8-9", true}, {parts, "<parts d 0-1", false}, {parts, "<parts d 8-9 0-1", false}, {parts, "<parts d 0-1 8-9 2-3", false},
	} {
		a, err := readAnswer(bufio.NewReader(strings.NewReader(test.answer)), "GET")
		if err != nil {
			t.Fatal(err)
		}
		c := scriptCase{steps: []step{{what: stepAnswer}}}
		for line := range strings.SplitSeq(test.lines, "\n") {
			if err := c.line("", line); err != nil {
				t.Fatal(err)
			}
		}
		r := &runner{files: map[string][]byte{"d": []byte("0123456789")}, kept: map[string]string{}}
		expect := c.steps[0].expect
		for _, e := range expect {
			if err = r.meet(a, e, expect); err != nil {
				break
			}
		}
		if (err == nil) != test.met {
			t.Errorf("%s: %v", test.lines, err)
		}
	}
}

func TestScriptMistakes(t *testing.T) {
	for _, line := range []string{"GET / HTTP/1.1", ">GET / HTTP/1.1", "<200", "< 20", "< fine", "<unknown A", "wait", "wait long", "< closed now", "<  A: 1"} {
		c := scriptCase{}
		if err := c.line("", line); err == nil {
			t.Errorf("%q is taken for %v", line, c.steps)
		}
	}
}
