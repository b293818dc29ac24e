package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

func backend(t *testing.T) *Backend {
	t.Helper()
	b, err := NewBackend()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func connectTo(t *testing.T, to netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func post(answer int, body []byte) string {
	return fmt.Sprintf("POST /cgi-bin/bytes/%d HTTP/1.1\r\nHost: a\r\ncontent-length: %d\r\n\r\n%s", answer, len(body), body)
}

func TestBackend(t *testing.T) {
	for name, test := range map[string]struct {
		request string
		status  int
		want    string // the beginning of the body
		size    int    // of the body; 0: that of want
	}{
		"another body":     {post(5, []byte("another")), 400, "the body is not Content", 0},
		"longer than told": {strings.Replace(post(5, Content(7)), "length: 7", "length: 8", 1) + "!", 400, "the body is not Content", 0},
		"no such target":   {"GET /x HTTP/1.1\r\n\r\n", 400, "there is no /x", 0},
		"too large":        {"GET /cgi-bin/bytes/99999999 HTTP/1.1\r\n\r\n", 400, "there is no", 33 + 8},
		"chunked":          {"POST /cgi-bin/bytes/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "it is neither a GET nor a POST", 47},
		"old":              {"GET /cgi-bin/bytes/1 HTTP/1.0\r\n\r\n", 400, "the request is not HTTP/1.1", 56},
		"no upgrade":       {"GET /cgi-bin/socket HTTP/1.1\r\nHost: a\r\n\r\n", 400, "the upgrade was lost on the way", 0},
		"nothing":          {"GET /cgi-bin/bytes/0 HTTP/1.1\r\n\r\n", 200, "", 0},
		"small":            {"GET /cgi-bin/bytes/100 HTTP/1.1\r\nHost: a\r\n\r\n", 200, string(Content(100)), 0},
		"large":            {"GET /cgi-bin/bytes/4000000 HTTP/1.1\r\nHost: a\r\n\r\n", 200, string(Content(4_000_000)), 0},
		"post":             {post(9, Content(300_000)), 200, string(Content(9)), 0},
		"seen":             {"GET /cgi-bin/seen HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n", 200, "GET /cgi-bin/seen HTTP/1.1\r\nHost: a\r\nA: b", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, answer, err := Probe(backend(t).Address, []byte(test.request))
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != test.status || !bytes.HasPrefix(answer.Body, []byte(test.want)) || test.size == 0 && len(answer.Body) != len(test.want) {
				t.Errorf("status %d and %.100q, want %d and %.100q", answer.Status, answer.Body, test.status, test.want)
			}
		})
	}
}

// Requests may come in any pieces, and several at once.
func TestBackendPieces(t *testing.T) {
	b := backend(t)
	all := "GET /cgi-bin/bytes/7 HTTP/1.1\r\nHost: a\r\n\r\n" + post(8, Content(10)) + "GET /cgi-bin/bytes/9 HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, piece := range []int{1, 50, len(all)} {
		conn := connectTo(t, b.Address)
		go func() {
			for rest := all; rest != ""; {
				n := min(piece, len(rest))
				io.WriteString(conn, rest[:n])
				rest = rest[n:]
				if piece == 50 {
					time.Sleep(5 * time.Millisecond)
				}
			}
		}()
		r := bufio.NewReader(conn)
		for _, size := range []int{7, 8, 9} {
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(body, Content(size)) {
				t.Errorf("pieces of %d: a body of %d bytes, %v, want %d", piece, len(body), err, size)
			}
		}
	}
}

// The end of a connection is seen, even if it comes with the last request.
func TestBackendEnds(t *testing.T) {
	b := backend(t)
	for range 20 {
		conn := connectTo(t, b.Address)
		io.WriteString(conn, "GET /cgi-bin/bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
		conn.(*net.TCPConn).CloseWrite()
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatal(err)
		}
	}
	conn := connectTo(t, b.Address)
	io.WriteString(conn, "GET /cgi-bin/bytes/1 HTTP/1.1\r\n"+strings.Repeat("A: b\r\n", 100_000))
	if _, err := io.ReadAll(conn); err == nil {
		return // A FIN will do as well as a reset.
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Error("a head without end is read on")
	}
}

// Load and backend on one thread.
func TestBackendUnderLoad(t *testing.T) {
	get := func(size int) string { return fmt.Sprintf("GET /cgi-bin/bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n", size) }
	for name, test := range map[string]struct {
		requests []string
		shape    Shape
	}{
		"get":   {[]string{get(100)}, Shape{Connections: 16}},
		"post":  {[]string{post(100, Content(10_000))}, Shape{Connections: 16}},
		"huge":  {[]string{get(1 << 20), post(1<<20, Content(1<<20))}, Shape{Order: []uint16{0, 1}, Connections: 4}},
		"mixed": {[]string{get(10), post(10, Content(1)), get(100_000)}, Shape{Order: []uint16{0, 1, 0, 2}, Connections: 8}},
		"open":  {[]string{get(100)}, Shape{Connections: 8, Rate: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			b := backend(t)
			shape := test.shape
			shape.Address, shape.Backend = b.Address, b
			for _, text := range test.requests {
				shape.Requests = append(shape.Requests, probe(t, b.Address, text))
			}
			run(t, shape)
		})
	}
	t.Run("wrong", func(t *testing.T) {
		b := backend(t)
		r := probe(t, b.Address, post(100, Content(10)))
		r.Bytes[len(r.Bytes)-1]++
		g, err := Open(Shape{Address: b.Address, Backend: b, Requests: []Request{r}, Connections: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if _, err := g.Run(t.Context(), 10*time.Second, nil); err == nil || !strings.Contains(err.Error(), "400 Bad Request") {
			t.Errorf("error %v, want one about the status", err)
		}
	})
}

// run makes load for a moment, and wants answers.
func run(t *testing.T, shape Shape) {
	t.Helper()
	g, err := Open(shape)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	latency := NewLatency()
	for range 2 {
		if _, err := g.Run(t.Context(), 100*time.Millisecond, latency); err != nil {
			t.Fatal(err)
		}
	}
	if latency.TotalCount() == 0 {
		t.Error("no answers")
	}
}

// A real client talks to the backend.
func TestSocketBackend(t *testing.T) {
	b := backend(t)
	conn, err := websocket.Dial(fmt.Sprintf("ws://%v/cgi-bin/socket", b.Address), "", "http://a/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, size := range []int{0, 1, 100, 125, 126, 10_000} {
		if err := websocket.Message.Send(conn, Content(size)); err != nil {
			t.Fatal(err)
		}
		var got []byte
		if err := websocket.Message.Receive(conn, &got); err != nil || !bytes.Equal(got, Content(size)) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
}

// The load talks to a real server, and to the backend; one of their echoes that
// is wrong is found out.
func TestSocketLoad(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	real := &http.Server{Handler: websocket.Server{Handler: func(conn *websocket.Conn) {
		for {
			var message []byte
			if websocket.Message.Receive(conn, &message) != nil || websocket.Message.Send(conn, message) != nil {
				return
			}
		}
	}}}
	go real.Serve(listener)
	defer real.Close()
	b := backend(t)
	for name, shape := range map[string]Shape{
		"real server": {Address: netip.MustParseAddrPort(listener.Addr().String())},
		"backend":     {Address: b.Address, Backend: b},
	} {
		t.Run(name, func(t *testing.T) {
			handshake, accept := Handshake("a", "/cgi-bin/socket")
			hello, answer, err := Probe(shape.Address, handshake)
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Header.Get("Sec-WebSocket-Accept"); answer.Status != http.StatusSwitchingProtocols || got != accept {
				t.Fatalf("status %d, Sec-WebSocket-Accept %q, want 101 and %q", answer.Status, got, accept)
			}
			shape.Hello = hello
			for i, size := range []int{0, 100, 125, 126, 60_000} {
				shape.Requests = append(shape.Requests, Message(Content(size), [4]byte{1, 2, 3, byte(i)}))
				shape.Order = append(shape.Order, uint16(i))
			}
			shape.Connections = 250
			run(t, shape)
			shape.Rate = 1000
			run(t, shape)

			wrong := Message(Content(100), [4]byte{1, 2, 3, 4})
			wrong.Bytes[50]++
			shape.Requests, shape.Order, shape.Connections = []Request{wrong}, nil, 1
			g, err := Open(shape)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			if _, err := g.Run(t.Context(), 10*time.Second, nil); err == nil || !strings.Contains(err.Error(), "an answer began with") {
				t.Errorf("error %v, want one about the echo", err)
			}
		})
	}
	if _, err := Open(Shape{Address: b.Address, Requests: make([]Request, 1), Hello: Request{Bytes: []byte("a")}, Connections: 1, Close: true}); err == nil {
		t.Error("a hello for each request is accepted")
	}
}

func FuzzEcho(f *testing.F) {
	for _, size := range []int{0, 5, 126} {
		f.Add(Message(Content(size), [4]byte{1, 2, 3, 4}).Bytes)
	}
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{0x82, 0xfe, 0, 3, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x82, 5, 'h', 'e', 'l', 'l', 'o'})
	f.Fuzz(func(t *testing.T, came []byte) {
		reply, n, err := echo(nil, came)
		switch {
		case n < 0 || n > len(came) || n == 0 && len(reply) > 0 || err != nil && n > 0:
			t.Fatalf("%d of %d bytes, %d bytes of reply, %v", n, len(came), len(reply), err)
		case n > 0 && len(reply) != n-4:
			t.Errorf("%d bytes of reply to %d that were masked", len(reply), n)
		}
		if n > 0 {
			// What is not there as a whole is left alone.
			if _, short, err := echo(nil, came[:n-1]); short != 0 || err != nil {
				t.Errorf("%d of %d bytes are a frame, %v", short, n-1, err)
			}
		}
	})
}
