package http1

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/connlimit"
	"ramjet/accelerator/proxyproto"
)

// proxied is a box whose clients at 127.0.0.1 are proxies, and which lets perClient
// connections of a client in. Its answers say between whom the connection is.
func proxied(t *testing.T, perClient int) *box {
	t.Helper()
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{
		Listener: tcp, Limiter: connlimit.New(0, perClient), Log: slog.New(slog.DiscardHandler),
		Limits: Limits{HeadTime: 200 * time.Millisecond}, ProxyFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey), body)
	})}
	l.Attach(srv)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return &box{l, tcp.Addr().String()}
}

// none waits until no connection is open, or counted for anybody.
func (b *box) none(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); b.Limiter.Open() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open", b.Limiter.Open())
		}
	}
}

func TestProxyHeader(t *testing.T) {
	b := proxied(t, 0)
	h := proxyproto.Header{Source: netip.MustParseAddrPort("192.0.2.1:56324"), Destination: netip.MustParseAddrPort("[2001:db8::2]:80")}
	const post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
	first := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1"
	for header, want := range map[string]string{
		string(proxyproto.Append1(nil, h)):                    "192.0.2.1:56324 [2001:db8::2]:80 body",
		string(proxyproto.Append2(nil, h)):                    "192.0.2.1:56324 [2001:db8::2]:80 body",
		string(proxyproto.Append1(nil, proxyproto.Header{})):  "127.0.0.1:",
		string(proxyproto.Append2(nil, proxyproto.Header{})):  "127.0.0.1:",
		string(proxyproto.Append1(nil, h)) + first:            "192.0.2.1:56324 [2001:db8::2]:80 body",
		"PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n" + first: "192.0.2.1:56324 192.0.2.2:80 body",
	} {
		got := b.talk(t, header+post)
		if at := strings.LastIndex(got, "\r\n\r\n"); at < 0 || !strings.HasPrefix(got[at+4:], want) {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
		// The same byte by byte.
		c := b.dial(t)
		go func() {
			for _, x := range []byte(header) {
				if _, err := c.Write([]byte{x}); err != nil {
					return
				}
				time.Sleep(100 * time.Microsecond)
			}
			io.WriteString(c, post)
		}()
		text, err := io.ReadAll(c)
		if at := strings.LastIndex(string(text), "\r\n\r\n"); err != nil || at < 0 || !strings.HasPrefix(string(text[at+4:]), want) {
			t.Errorf("byte by byte, %q: %q, %v", header, text, err)
		}
	}
	b.none(t)
}

// Who comes from a proxy's network without a header is not let in, and told nothing;
// who comes from elsewhere with one has sent a malformed request.
func TestProxyHeaderIsNeeded(t *testing.T) {
	b := proxied(t, 0)
	const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	var refused uint64
	for _, in := range []string{
		get, "PROXY TCP4 192.0.2.1 192.0.2.2 056324 80\r\n" + get, "PROXY TCP4 1.2.3.4\r\n", "\r\n\r\n" + get, strings.Repeat("x", 10_000), "PROXY TCP4 192.0.2.1 ", "P", "",
	} {
		c := b.dial(t)
		io.WriteString(c, in)
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%.40q: %q, %v", in, got, err)
		}
		refused++
	}
	// One that leaves without a word is not counted.
	b.dial(t).Close()
	b.none(t)
	if n := b.Stats.Refused[BadProxyHeader].Load(); n != refused {
		t.Errorf("%d refused, want %d", n, refused)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	for in, want := range map[string]string{get: "HTTP/1.1 200 ", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n" + get: "HTTP/1.1 400 "} {
		c, err := d.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, in)
		if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), want) || strings.Contains(string(got), "192.0.2.1") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// The limit of connections is one of clients, not of the proxy.
func TestProxyHeaderAndLimit(t *testing.T) {
	b := proxied(t, 2)
	open := func(client string) (net.Conn, bool) {
		t.Helper()
		c := b.dial(t)
		io.WriteString(c, "PROXY TCP4 "+client+" 192.0.2.9 1 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			io.Copy(io.Discard, answer.Body)
		}
		return c, err == nil
	}
	var conns []net.Conn
	for _, client := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"} {
		c, ok := open(client)
		if !ok {
			t.Errorf("%s is refused", client)
		}
		conns = append(conns, c)
	}
	if _, ok := open("192.0.2.1"); ok || b.Stats.Crowded.Load() != 1 {
		t.Errorf("a third one is let in: %v, %d", ok, b.Stats.Crowded.Load())
	}
	for _, c := range conns {
		c.Close()
	}
	b.none(t)
	for range 2 {
		if _, ok := open("192.0.2.1"); !ok {
			t.Error("refused when all have gone")
		}
	}
}
