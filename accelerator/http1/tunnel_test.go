package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const upgrade = "Connection: upgrade\r\nUpgrade: echo\r\n\r\n"

// early is what a client sends right behind its handshake: no HTTP at all.
const early = "\x00early\nbytes\r\n\r\n"

// echo takes the connection over and sends back whatever comes. It gives the
// early bytes time to arrive first.
func echo(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			io.WriteString(w, "plain")
			return
		}
		if body, err := io.ReadAll(r.Body); err != nil || r.Method == "POST" && string(body) != "hello" {
			t.Errorf("body of the upgrade request: %q, %v", body, err)
		}
		time.Sleep(50 * time.Millisecond)
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if n := buf.Reader.Buffered(); n > 0 {
			t.Errorf("net/http was given %d bytes of the tunnel", n)
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		if r.URL.Path == "/copy" {
			io.Copy(c, c)
			return
		}
		p := make([]byte, 7)
		for {
			n, err := c.Read(p)
			if err != nil {
				return
			}
			if _, err := c.Write(p[:n]); err != nil {
				return
			}
		}
	}
}

func TestTunnel(t *testing.T) {
	b := newBox(t, Limits{BodyStall: 20 * time.Millisecond}, echo(t))
	for _, test := range []struct{ name, in string }{
		{"upgrade", "GET / HTTP/1.1\r\nHost: a\r\n" + upgrade},
		{"copied", "GET /copy HTTP/1.1\r\nHost: a\r\n" + upgrade},
		{"upgrade with a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + upgrade + "hello"},
		{"upgrade with a chunked body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + upgrade + "5\r\nhello\r\n0\r\n\r\n"},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"},
		{"behind another request", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n" + upgrade},
		{"behind an upgrade not taken", "GET /plain HTTP/1.1\r\nHost: a\r\n" + upgrade + "GET / HTTP/1.1\r\nHost: a\r\n" + upgrade},
	} {
		c := b.dial(t)
		io.WriteString(c, test.in+early)
		in := bufio.NewReader(c)
		if strings.Contains(test.in, "/plain") {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			io.Copy(io.Discard, resp.Body)
		}
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("%s: %v, %v", test.name, resp, err)
		}
		time.Sleep(60 * time.Millisecond) // longer than a body may stall
		io.WriteString(c, "late")
		c.CloseWrite()
		if got, err := io.ReadAll(in); err != nil || string(got) != early+"late" {
			t.Errorf("%s: the tunnel gave back %q, %v", test.name, got, err)
		}
	}
	eventually(t, "all connections closed", func() bool { return b.Limiter.Open() == 0 })
}

// TestUpgradeNotTaken: what follows a request whose upgrade the handler ignored
// is HTTP, and checked as such.
func TestUpgradeNotTaken(t *testing.T) {
	b := newBox(t, Limits{}, echo(t))
	out := b.talk(t, strings.Repeat("GET /plain HTTP/1.1\r\nHost: a\r\n"+upgrade, 3)+"GET /plain HTTP/1.1\r\nHost : a\r\n\r\n"+next)
	if strings.Count(out, "200 OK") != 3 || !strings.Contains(out, "400 Bad Request") {
		t.Errorf("got %q", out)
	}
	b.waitRefused(t, SpaceBeforeColon)
}

// TestTunnelToOtherSocket uses WriteTo and ReadFrom with a TCP peer, as a proxy does.
func TestTunnelToOtherSocket(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	go func() {
		for {
			c, err := far.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	b := newBox(t, Limits{WriteStall: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		peer, err := net.Dial("tcp", far.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer peer.Close()
		time.Sleep(50 * time.Millisecond)
		c, _, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		go func() { io.Copy(peer, c); peer.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, peer)
	})
	c := b.dial(t)
	io.WriteString(c, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"+early)
	time.Sleep(100 * time.Millisecond)
	io.WriteString(c, strings.Repeat("x", 1<<20))
	c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != early+strings.Repeat("x", 1<<20) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
}

// TestDeafTunnelEnds: nobody reads at the far end of a tunnel.
func TestDeafTunnelEnds(t *testing.T) {
	ended := make(chan error, 1)
	b := newBox(t, Limits{WriteStall: 300 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		for block := make([]byte, 1<<20); ; {
			if _, err := c.Write(block); err != nil {
				ended <- err
				return
			}
		}
	})
	io.WriteString(b.dial(t), "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the tunnel did not end")
	}
}
