package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/proxyproto"
)

// greetedListener reads the header that each connection begins with, and notes it.
type greetedListener struct {
	*net.TCPListener
	mu    sync.Mutex
	heard []proxyproto.Header // guarded by mu
}

type greetedConn struct {
	net.Conn
	r io.Reader
}

func (c *greetedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func (l *greetedListener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	for n := 1; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return c, nil // It is for the server to find that out.
		}
		h, size, err := proxyproto.Parse(b)
		if err != nil {
			_ = c.Close()
			return l.Accept()
		}
		if size > 0 {
			_, _ = r.Discard(size)
			l.mu.Lock()
			l.heard = append(l.heard, h)
			l.mu.Unlock()
			return &greetedConn{c, r}, nil
		}
	}
}

func (l *greetedListener) headers() []proxyproto.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard)
}

// Each request comes by a connection of its own, which names its client and nobody
// else's, and for https does so before the handshake.
func TestProxyProtocol(t *testing.T) {
	for _, c := range []struct {
		greeting Greeting
		secure   bool
	}{{ProxyProtocol1, false}, {ProxyProtocol2, false}, {ProxyProtocol2, true}} {
		l := &greetedListener{TCPListener: listen(t)}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s of %d bytes", r.Method, len(body))
				return
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := rw.ReadString('\n')
			io.WriteString(conn, line)
		}))
		s.Listener.Close()
		s.Listener = l
		u := &url.URL{Scheme: "http", Host: l.Addr().String()}
		p := &Proxy{Greeting: c.greeting, KeepAlive: patience, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}}
		if c.secure {
			s.StartTLS()
			u.Scheme = "https"
			p.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		f := frontOf(t, p, backend.Server{URL: u})
		at := netip.MustParseAddrPort(f.addr)
		var want []proxyproto.Header
		from := func(ip string, requests ...string) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
			conn, err := d.Dial("tcp", f.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			w := newWire(t, conn)
			for _, r := range requests {
				h := proxyproto.Header{Source: conn.LocalAddr().(*net.TCPAddr).AddrPort(), Destination: at}
				if _, of, ok := strings.Cut(r, "X-Forwarded-For: "); ok && ip == "127.0.0.9" {
					of, _, _ = strings.Cut(of, "\r\n")
					h.Source = netip.AddrPortFrom(netip.MustParseAddr(of), 0)
				}
				want = append(want, h)
				w.send(r)
				if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") && !strings.HasPrefix(head, "HTTP/1.1 101 ") {
					t.Errorf("%q: %q", r, head)
				}
				expected := "GET of 0 bytes"
				switch {
				case strings.Contains(r, "Upgrade"):
					w.send("over the tunnel\n")
					expected = "over the tunnel\n"
				case strings.HasPrefix(r, "POST"):
					expected = "POST of 5 bytes"
				}
				if got := w.take(len(expected)); got != expected {
					t.Errorf("%q: %q", r, got)
				}
			}
		}
		plain := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		from("127.0.0.7", plain, plain, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345")
		from("127.0.0.8", plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
		from("127.0.0.9", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		if got := l.headers(); !slices.Equal(got, want) {
			t.Errorf("greeting %d: got\n%v\nwant\n%v", c.greeting, got, want)
		}
	}
}

// HAProxy reads what we write, where it is installed.
func TestProxyProtocolToHAProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if program = "/usr/sbin/haproxy"; !isFile(program) {
			t.Skip("no haproxy")
		}
	}
	free := listen(t)
	address := free.Addr().String()
	free.Close()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	err = os.WriteFile(file, []byte(`defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend f
    bind `+address+` accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst]"
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "haproxy listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	for _, greeting := range []Greeting{ProxyProtocol1, ProxyProtocol2} {
		f := frontOf(t, &Proxy{Greeting: greeting}, backend.Server{URL: &url.URL{Scheme: "http", Host: address}})
		w := dial(t, f.addr)
		for range 2 {
			w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			head := w.head()
			want := fmt.Sprintf("127.0.0.1 %d 127.0.0.1", w.LocalAddr().(*net.TCPAddr).Port)
			if got := w.take(len(want)); got != want || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
				t.Errorf("greeting %d: %q %q, want %q", greeting, head, got, want)
			}
		}
	}
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
