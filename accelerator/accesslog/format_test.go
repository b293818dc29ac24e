package accesslog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// lineOf is a record as a line, by way of a ring.
func lineOf(f Format, r *Record) string {
	entry := make([]byte, entryLen(r))
	putEntry(entry, r)
	var out Record
	getEntry(entry, &out)
	return string(Formats[f].append(new(formatter), nil, &out))
}

func TestLines(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 56, 57, 8_000_000, time.FixedZone("", 3600)).UnixNano()
	evil := &Record{
		Time: at, Remote: netip.MustParseAddr("2001:db8::1"), Status: 404, Bytes: 0, Duration: 61*time.Second + 1500*time.Nanosecond,
		Method: []byte("GET"), Target: []byte(`/a"b\c`), Protocol: []byte("HTTP/1.0"), Host: []byte("x\x00\r\n"),
		Referer: []byte("http://ü.example/\xff"), UserAgent: []byte("\x1b[31m\u2028\u0085\x7f"),
	}
	refused := &Record{Time: -1, Status: 400}
	slow, lost, limited := usual(), usual(), usual()
	slow.Forward = Forward{
		Backend: []byte("http://www.example.org:80#192.0.2.1"), Connect: 1500 * time.Microsecond, FirstByte: 2 * time.Second, Duration: 3 * time.Second,
		Retries: 2, Event: []byte("backend_aborted"),
	}
	lost.Forward = Forward{Backend: []byte(`unix:///a"b`), Duration: 1, Retries: 70000}
	limited.Forward.Event = []byte("limited")
	const usualJSON = `{"time":"2026-11-25T12:56:57.123Z","remote":"192.0.2.17","method":"GET","target":"/assets/app-3f9a1c.js","protocol":"HTTP/1.1","host":"www.example.org","status":200,"bytes":10240,"duration":0.000087,"referer":"https://www.example.org/products/index.html","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"`
	for _, c := range []struct {
		format Format
		record *Record
		want   string
	}{
		{Common, usual(), `192.0.2.17 - - [25/Nov/2026:12:56:57 +0000] "GET /assets/app-3f9a1c.js HTTP/1.1" 200 10240`},
		{Combined, usual(), `192.0.2.17 - - [25/Nov/2026:12:56:57 +0000] "GET /assets/app-3f9a1c.js HTTP/1.1" 200 10240 "https://www.example.org/products/index.html" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"`},
		{JSON, usual(), usualJSON + `}`},
		{JSON, slow, usualJSON + `,"backend":"http://www.example.org:80#192.0.2.1","connect":0.001500,"first_byte":2.000000,"backend_duration":3.000000,"retries":2,"event":"backend_aborted"}`},
		{JSON, lost, usualJSON + `,"backend":"unix:///a\"b","backend_duration":0.000000,"retries":65535}`},
		{JSON, limited, usualJSON + `,"event":"limited"}`},
		{Common, slow, `192.0.2.17 - - [25/Nov/2026:12:56:57 +0000] "GET /assets/app-3f9a1c.js HTTP/1.1" 200 10240`},
		{Common, evil, `2001:db8::1 - - [25/Nov/2026:11:56:57 +0000] "GET /a\x22b\x5Cc HTTP/1.0" 404 -`},
		{Combined, evil, `2001:db8::1 - - [25/Nov/2026:11:56:57 +0000] "GET /a\x22b\x5Cc HTTP/1.0" 404 - "http://\xC3\xBC.example/\xFF" "\x1B[31m\xE2\x80\xA8\xC2\x85\x7F"`},
		{JSON, evil, `{"time":"2026-11-25T11:56:57.008Z","remote":"2001:db8::1","method":"GET","target":"/a\"b\\c","protocol":"HTTP/1.0","host":"x\u0000\u000D\u000A","status":404,"bytes":0,"duration":61.000001,"referer":"http://ü.example/` + "\ufffd" + `","user_agent":"\u001B[31m\u2028\u0085\u007F"}`},
		{Combined, refused, `- - - [31/Dec/1969:23:59:59 +0000] "-" 400 - "-" "-"`},
		{JSON, refused, `{"time":"1969-12-31T23:59:59.999Z","remote":"-","method":"","target":"","protocol":"","host":"","status":400,"bytes":0,"duration":0.000000,"referer":"","user_agent":""}`},
	} {
		if got := lineOf(c.format, c.record); got != c.want+"\n" {
			t.Errorf("%s:\n got %s\nwant %s", c.format, got, c.want)
		}
	}
}

// strictCLF is a line as the strictest reader wants it.
var strictCLF = regexp.MustCompile(`^(-|[0-9a-f.:]+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "(?:[^"\\]|\\x[0-9A-F]{2})*" \d{3} (?:-|-?\d+)(?: "(?:[^"\\]|\\x[0-9A-F]{2})+" "(?:[^"\\]|\\x[0-9A-F]{2})+")?\n$`)

// escape is one byte in a line of common or combined.
var escape = regexp.MustCompile(`\\x([0-9A-F]{2})`)

// unescape undoes escaping.
func unescape(t *testing.T, s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		n, err := hexByte(e[2:])
		if err != nil {
			t.Fatal(err)
		}
		return string([]byte{n})
	})
}

// Whatever a client sends, a line is one line, which a strict reader understands,
// and which says what was sent.
func FuzzLine(f *testing.F) {
	f.Add([]byte("GET"), []byte("/"), []byte("HTTP/1.1"), []byte("h"), []byte(""), []byte("agent"), 200, int64(1), int64(0), int64(1), []byte{1, 2, 3, 4})
	f.Add([]byte("event"), []byte("http://backend"), []byte("HTTP/1.1"), []byte("h"), []byte(""), []byte("agent"), 201, int64(1), int64(5), int64(0), []byte{1, 2, 3, 4})
	f.Add([]byte("\""), []byte("\\x41\n"), []byte("\x00"), []byte("\xff\xfe"), []byte("\xe2\x80\xa8"), []byte("\xed\xa0\x80"), -7, int64(-1), int64(math.MinInt64), int64(math.MaxInt64), []byte{})
	f.Add([]byte("1234567\""), []byte("12345678\x7f"), []byte("\x80"), []byte("\x1f2345678"), []byte("\\23456789"), []byte("\u0085\x1b[2J"), 70000, int64(math.MaxInt64), int64(math.MaxInt64), int64(-1), make([]byte, 16))
	f.Fuzz(func(t *testing.T, method, target, protocol, host, referer, agent []byte, status int, size, at, took int64, remote []byte) {
		address, _ := netip.AddrFromSlice(remote)
		var forward Forward
		if status&1 != 0 { // What is said of the farm has the same texts and numbers.
			forward = Forward{
				Backend: target, Event: method, Retries: int(size),
				Connect: time.Duration(took), FirstByte: time.Duration(at), Duration: time.Duration(took),
			}
		}
		r := &Record{
			Time: at, Duration: time.Duration(took), Remote: address, Status: status, Bytes: size,
			Method: method, Target: target, Protocol: protocol, Host: host, Referer: referer, UserAgent: agent, Forward: forward,
		}
		for format := Common; format <= JSON; format++ {
			line := lineOf(format, r)
			if strings.Count(line, "\n") != 1 || !utf8.ValidString(line) ||
				strings.ContainsFunc(line[:len(line)-1], func(c rune) bool { return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' }) {
				t.Fatalf("%s: not one clean line: %q", format, line)
			}
			if format == JSON {
				checkJSON(t, line, r)
			} else {
				checkCLF(t, line, r)
			}
		}
	})
}

func checkCLF(t *testing.T, line string, r *Record) {
	if !strictCLF.MatchString(line) {
		t.Fatalf("not CLF: %q", line)
	}
	quoted := strings.Split(line, `"`)
	want := "-"
	if len(r.Method) > 0 {
		want = string(cut(r.Method, MaxMethod)) + " " + string(cut(r.Target, MaxTarget)) + " " + string(cut(r.Protocol, MaxProtocol))
	}
	if got := unescape(t, quoted[1]); got != want {
		t.Fatalf("request %q became %q in %q", want, got, line)
	}
	if len(quoted) > 3 {
		for i, text := range [][]byte{r.Referer, r.UserAgent} {
			want := string(cut(text, MaxField))
			if want == "" {
				want = "-"
			}
			if got := unescape(t, quoted[3+2*i]); got != want {
				t.Fatalf("%q became %q in %q", want, got, line)
			}
		}
	}
}

func checkJSON(t *testing.T, line string, r *Record) {
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	f := &r.Forward
	backend := len(f.Backend) > 0
	members := 0
	for _, field := range Fields {
		want, optional := map[string]bool{
			"backend": backend, "connect": backend && f.Connect != 0, "first_byte": backend && f.FirstByte != 0,
			"backend_duration": backend && f.Duration != 0, "retries": backend, "event": len(f.Event) > 0,
		}[field.Name]
		want = want || !optional
		if _, ok := object[field.Name]; ok != want {
			t.Fatalf("%s: %v, want %v: %s", field.Name, ok, want, line)
		}
		if want {
			members++
		}
	}
	if len(object) != members {
		t.Fatalf("%d members: %s", len(object), line)
	}
	for name, text := range map[string][]byte{
		"method": cut(r.Method, MaxMethod), "target": cut(r.Target, MaxTarget), "protocol": cut(r.Protocol, MaxProtocol),
		"host": cut(r.Host, MaxHost), "referer": cut(r.Referer, MaxField), "user_agent": cut(r.UserAgent, MaxField),
		"backend": cut(f.Backend, MaxBackend), "event": cut(f.Event, MaxEvent),
	} {
		if object[name] == nil && len(text) == 0 {
			continue
		}
		want := string(bytes.Runes(text)) // What is not UTF-8 becomes U+FFFD, byte by byte.
		if got := object[name].(string); got != want {
			t.Fatalf("%s: %q became %q", name, want, got)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, object["time"].(string)); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
}

func hexByte(s string) (byte, error) {
	var b [1]byte
	_, err := hex.Decode(b[:], []byte(s))
	return b[0], err
}

// The table of escaped bytes, one by one, in every place of eight.
func TestPlain(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c <= '~' && c != '"' && c != '\\'
		for at := range 17 {
			text := bytes.Repeat([]byte("~"), 17)
			text[at] = byte(c)
			if at > 0 {
				text[at-1] = ' '
			}
			if plain(text) != want {
				t.Errorf("plain with %#x at %d: %v", c, at, !want)
			}
		}
	}
}
