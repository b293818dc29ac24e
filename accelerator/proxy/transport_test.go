package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/accelerator/backend"
)

// frontOf is a server with a Proxy before these servers, taken in turn.
func frontOf(t testing.TB, p *Proxy, servers ...backend.Server) *front {
	t.Helper()
	pool, err := backend.NewPool(backend.Settings{Balance: backend.RoundRobin, Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	p.Pool, p.Counters, p.Log = pool, &Counters{}, slog.New(slog.DiscardHandler)
	return &front{p, startServer(t, p)}
}

// A backend behind a Unix socket is one like any other: with bodies, with
// upgrades, and with a Host of its own if that is wanted.
func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "farm.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.Host, body)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(conn, rw)
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	u := &url.URL{Scheme: "unix", Path: socket}
	f := frontOf(t, &Proxy{}, backend.Server{URL: u})
	own := frontOf(t, &Proxy{RewriteHost: true}, backend.Server{URL: u})
	post := func(addr string) string {
		got, err := roundTrip(t, addr, "POST / HTTP/1.1\r\nHost: site\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
		if err != nil {
			t.Error(err)
		}
		return got
	}
	if got := post(f.addr); !strings.HasSuffix(got, "\r\n\r\nPOST site body") {
		t.Errorf("%q", got)
	}
	if got := post(own.addr); !strings.HasSuffix(got, "\r\n\r\nPOST localhost body") {
		t.Errorf("%q", got)
	}
	w := dial(t, f.addr)
	w.send("GET /chat HTTP/1.1\r\nHost: site\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
	if got := w.head(); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		t.Errorf("%q", got)
	}
	if got := w.take(5); got != "early" {
		t.Errorf("%q", got)
	}
	w.send("later")
	if err := w.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := w.rest(); got != "later" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	f.counts(t, OK, OK)
	s.Close()
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("%q", got)
	}
}

// Two addresses of one name are two servers: each request goes over a connection
// to the one that it is for, and with https both have to be who the name says.
func TestAddressesOfOneName(t *testing.T) {
	var farm []*httptest.Server
	port := ""
	for _, ip := range []string{"127.0.0.21", "127.0.0.22"} {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			l, err = net.Listen("tcp", net.JoinHostPort(ip, "0"))
		}
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.TLS.ServerName+" "+r.Host+" "+ip)
		}))
		s.Listener.Close()
		s.Listener = l
		s.StartTLS()
		defer s.Close()
		farm = append(farm, s)
	}
	if farm[0].Listener.Addr().(*net.TCPAddr).Port != farm[1].Listener.Addr().(*net.TCPAddr).Port {
		t.Skip("the port is taken at the second address")
	}
	trust := farm[0].Client().Transport.(*http.Transport).TLSClientConfig.RootCAs // The certificate is for example.com.
	u := &url.URL{Scheme: "https", Host: "example.com:" + port}
	server := func(ip string) backend.Server { return backend.Server{URL: u, Address: netip.MustParseAddr(ip)} }
	f := frontOf(t, &Proxy{TLS: &tls.Config{RootCAs: trust}}, server("127.0.0.21"), server("127.0.0.22"))
	w := dial(t, f.addr)
	for i := range 20 {
		w.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n")
		head := w.head()
		want := fmt.Sprintf("example.com site 127.0.0.2%d", 1+i%2)
		if got := w.take(len(want)); got != want || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			t.Fatalf("request %d: %q, want %q", i, got, want)
		}
	}
	// One leaves, another comes that is not there: nobody notices, and nothing of
	// the one that left is kept.
	left := f.Pool.Backends()[0]
	if err := f.Pool.Set([]backend.Server{server("127.0.0.22"), server("127.0.0.23")}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if got := get(t, f.addr, "/"); !strings.HasSuffix(got, " 127.0.0.22") {
			t.Errorf("%q", got)
		}
	}
	if _, kept := f.transports.of.Load(left); kept {
		t.Error("the connections of the one that left are kept")
	}
}
