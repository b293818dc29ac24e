package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Client is a client with prior knowledge of HTTP/2.
func http2Client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: protocols}}
}

// startHTTP2 starts the program with a site and the farm of the scripts behind it.
func startHTTP2(t *testing.T, setting, more string) *process {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "site/page.html", "<p>page")
	write(t, dir, "site/large.txt", strings.Repeat("0123456789abcdef", 1<<18))
	return start(t, "-config", write(t, dir, "ramjet.json", `{`+setting+more+`
		"content": {"root": "site"}, "admin": "a.sock",
		"backends": [{"url": "http://`+startFarm(t, "testdata/farm.list")+`"}],
	}`))
}

// A client of HTTP/2 gets what one of HTTP/1 gets, and the farm gets its requests as
// HTTP/1.1.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startHTTP2(t, setting, "")
			client := http2Client()
			defer client.CloseIdleConnections()
			ask := func(method, path, body string, fields ...string) (*http.Response, string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.listen+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(fields); i += 2 {
					r.Header.Set(fields[i], fields[i+1])
				}
				if body != "" {
					r.ContentLength = -1
					r.Trailer = http.Header{"X-Sum": {"abc"}}
				}
				a, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Body.Close()
				text, err := io.ReadAll(a.Body)
				if err != nil || a.ProtoMajor != 2 {
					t.Errorf("%s: %s, %v", path, a.Proto, err)
				}
				return a, string(text)
			}
			if a, text := ask("GET", "/page.html", ""); a.StatusCode != 200 || text != "<p>page" {
				t.Errorf("static: %v, %q", a, text)
			}
			if a, text := ask("GET", "/large.txt", "", "Range", "bytes=16-31"); a.StatusCode != 206 || text != "0123456789abcdef" {
				t.Errorf("static, a range: %v, %q", a, text)
			}
			_, text := ask("GET", "/echo?x=%2F", "", "Cookie", "a=1", "X-Y", "z")
			for _, line := range []string{"GET /echo?x=%2F HTTP/1.1\r\n", "\r\nHost: " + p.listen + "\r\n", "\r\nCookie: a=1\r\n", "\r\nX-Y: z\r\n", "\r\nVia: 2 ramjet\r\n"} {
				if !strings.Contains(text, line) {
					t.Errorf("the farm did not get %q: %q", line, text)
				}
			}
			_, text = ask("POST", "/echo", "body")
			for _, line := range []string{"POST /echo HTTP/1.1\r\n", "\r\nTransfer-Encoding: chunked\r\n", "\r\nTrailer-X-Sum: abc\r\n", "\r\n\r\nbody"} {
				if !strings.Contains(text, line) {
					t.Errorf("the farm did not get %q: %q", line, text)
				}
			}
			if a, _ := ask("GET", "/backend/teapot", ""); a.StatusCode != 418 {
				t.Errorf("the farm's answer: %v", a)
			}
			if a, _ := ask("TRACE", "/", ""); a.StatusCode != 405 {
				t.Errorf("TRACE: %v", a)
			}
		})
	}
}

// wire2 is a connection of HTTP/2 on which a test sends what it likes.
type wire2 struct {
	*http2.Framer
	net.Conn
	t    *testing.T
	next uint32 // the next stream
}

func dialHTTP2(t *testing.T, address string, settings ...http2.Setting) *wire2 {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	// In pieces, the first of which could be the beginning of POST.
	for _, piece := range []string{"P", "RI * HT", http2.ClientPreface[8:20], http2.ClientPreface[20:]} {
		if _, err := io.WriteString(conn, piece); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	w := &wire2{Framer: http2.NewFramer(conn, conn), Conn: conn, t: t, next: 1}
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := w.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return w
}

// request sends a request without a body and returns its stream.
func (w *wire2) request(fields ...string) uint32 {
	w.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	id := w.next
	w.next += 2
	if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// status waits for the status of an answer, or says how the stream ended.
func (w *wire2) status(id uint32) string {
	w.t.Helper()
	for {
		f, err := w.ReadFrame()
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				return f.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return f.ErrCode.String()
		}
		if err != nil && !errors.As(err, new(http2.StreamError)) {
			return err.Error()
		}
	}
}

// What no HTTP/1 request may have in its head does not get into one by way of HTTP/2.
func TestHTTP2Smuggling(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startHTTP2(t, setting, "")
			for name, c := range map[string]struct {
				fields []string
				want   string // statuses or errors of streams
			}{
				"good":                        {[]string{":method", "GET", ":path", "/echo"}, "200"},
				"a blank in the path":         {[]string{":method", "GET", ":path", "/echo HTTP/1.1"}, "400 PROTOCOL_ERROR"},
				"a tab in the path":           {[]string{":method", "GET", ":path", "/echo\tx"}, "400 PROTOCOL_ERROR"},
				"a line in the path":          {[]string{":method", "GET", ":path", "/echo HTTP/1.1\r\nX: y"}, "400 PROTOCOL_ERROR"},
				"a path of somebody else":     {[]string{":method", "GET", ":path", "http://elsewhere/"}, "400 PROTOCOL_ERROR"},
				"no path":                     {[]string{":method", "GET", ":path", ""}, "400 PROTOCOL_ERROR"},
				"an asterisk":                 {[]string{":method", "GET", ":path", "*"}, "400 PROTOCOL_ERROR"},
				"a blank in the method":       {[]string{":method", "GET / HTTP/1.1", ":path", "/echo"}, "400 PROTOCOL_ERROR"},
				"a line in the method":        {[]string{":method", "GET / HTTP/1.1\r\nX:", ":path", "/echo"}, "400 PROTOCOL_ERROR"},
				"a line in a value":           {[]string{":method", "GET", ":path", "/echo", "x", "y\r\nz: a"}, "400 PROTOCOL_ERROR"},
				"a line in a name":            {[]string{":method", "GET", ":path", "/echo", "x: y\r\nz", "a"}, "400 PROTOCOL_ERROR"},
				"a blank in a name":           {[]string{":method", "GET", ":path", "/echo", "x ", "a"}, "400 PROTOCOL_ERROR"},
				"a coding":                    {[]string{":method", "POST", ":path", "/echo", "transfer-encoding", "chunked"}, "400 PROTOCOL_ERROR"},
				"a connection":                {[]string{":method", "GET", ":path", "/echo", "connection", "x-forwarded-for"}, "400 PROTOCOL_ERROR"},
				"an upgrade":                  {[]string{":method", "GET", ":path", "/echo", "upgrade", "websocket"}, "400 PROTOCOL_ERROR"},
				"a length without body":       {[]string{":method", "POST", ":path", "/echo", "content-length", "10"}, "400 PROTOCOL_ERROR"},
				"two lengths":                 {[]string{":method", "POST", ":path", "/echo", "content-length", "0", "content-length", "0"}, "400 PROTOCOL_ERROR"},
				"a malformed host":            {[]string{":method", "GET", ":path", "/echo", ":authority", "a/b"}, "400 PROTOCOL_ERROR"},
				"a host with a user":          {[]string{":method", "GET", ":path", "/echo", ":authority", "me@example"}, "400 PROTOCOL_ERROR"},
				"no host":                     {[]string{":method", "GET", ":path", "/echo", ":authority", ""}, "400 PROTOCOL_ERROR"},
				"CONNECT":                     {[]string{":method", "CONNECT", ":authority", "example:80"}, "405"},
				"CONNECT of another protocol": {[]string{":method", "CONNECT", ":path", "/", ":protocol", "websocket"}, "400 405 PROTOCOL_ERROR"},
				"too many fields":             {append([]string{":method", "GET", ":path", "/echo"}, strings.Split(strings.Repeat("x,y,", 200)+"x,y", ",")...), "431"},
			} {
				w := dialHTTP2(t, p.listen)
				fields := c.fields
				if !strings.Contains(strings.Join(fields, " "), ":authority") {
					fields = append(fields[:4:4], append([]string{":authority", "example"}, fields[4:]...)...)
				}
				if !strings.HasPrefix(name, "CONNECT") || len(fields) > 4 {
					fields = append([]string{":scheme", "http"}, fields...)
				}
				if got := w.status(w.request(fields...)); !strings.Contains(c.want, got) {
					t.Errorf("%s: %s, want %s", name, got, c.want)
				}
			}
		})
	}
}

// What looks like HTTP/2 and is not, or is not wanted, is malformed HTTP/1.
func TestHTTP2Preface(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startHTTP2(t, setting, "")
			without := startHTTP2(t, setting, `"limits": {"streams": 0},`)
			for _, c := range []struct{ address, sent, want string }{
				{p.listen, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "400"},
				{p.listen, "PRI * HTTP/2.0\r\nHost: a\r\n\r\n", "400"},
				{p.listen, "PRI / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200"},
				{p.listen, "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "200"},
				// Not at the beginning of the connection.
				{p.listen, "HEAD /page.html HTTP/1.1\r\nHost: a\r\n\r\n" + http2.ClientPreface, "200 400"},
				{p.listen, "\r\n" + http2.ClientPreface, "400"},
				{without.listen, http2.ClientPreface, "400"},
			} {
				for _, pause := range []time.Duration{0, 30 * time.Millisecond} {
					conn, err := net.Dial("tcp", c.address)
					if err != nil {
						t.Fatal(err)
					}
					_ = conn.SetDeadline(time.Now().Add(patience))
					at := 0
					if pause > 0 {
						at = 2
					}
					_, _ = io.WriteString(conn, c.sent[:at])
					time.Sleep(pause)
					_, _ = io.WriteString(conn, c.sent[at:])
					text, err := io.ReadAll(conn)
					conn.Close()
					var got []string
					for line := range strings.Lines(string(text)) {
						if status, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok && len(got) < 2 {
							got = append(got, status[:3])
						}
					}
					if strings.Join(got, " ") != c.want && !(c.want == "200" && got[0] == "200") {
						t.Errorf("%q: %q, want %s, %v", c.sent, text, c.want, err)
					}
				}
			}
		})
	}
}

// A client of HTTP/2 may have no more, and no longer, than one of HTTP/1.
func TestHTTP2Limits(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startHTTP2(t, setting, `"limits": {"streams": 2, "stall_time": "300ms", "idle_time": "500ms"},`)
			get := []string{":scheme", "http", ":method", "GET", ":authority", "example", ":path"}

			// An answer that its client gives no room for ends; others go on.
			w := dialHTTP2(t, p.listen, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			stuck := w.request(append(get, "/large.txt")...)
			if got := w.status(stuck); got != "200" {
				t.Errorf("%s", got)
			}
			if got := w.status(stuck); got != http2.ErrCodeInternal.String() {
				t.Errorf("an answer that is not taken: %s", got)
			}

			// Streams above the limit are refused.
			w = dialHTTP2(t, p.listen)
			var last uint32
			for range 3 {
				last = w.request(append(get, "/backend/slow")...)
			}
			if got := w.status(last); got != http2.ErrCodeRefusedStream.String() {
				t.Errorf("the third stream: %s", got)
			}

			// A connection without requests ends, and so does one with half a head.
			for _, half := range []bool{false, true} {
				w = dialHTTP2(t, p.listen)
				if half {
					_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
				}
				began := time.Now()
				_ = w.status(99)
				if took := time.Since(began); took > patience/2 {
					t.Errorf("a connection without requests, half a head: %v, lasted %v", half, took)
				}
			}
		})
	}
}

// The program waits for requests of HTTP/2 at its end, and says so to idle clients.
func TestHTTP2Drain(t *testing.T) {
	t.Parallel()
	p := startHTTP2(t, tiers["loops"], "")
	client := http2Client()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.listen+"/backend/dripping", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	p.signal(syscall.SIGTERM)
	if text, err := io.ReadAll(a.Body); err != nil || string(text) != "slow" {
		t.Errorf("%q, %v", text, err)
	}
	client.CloseIdleConnections()
	p.end()
}
