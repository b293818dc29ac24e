package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestTLS forwards to a backend of https whose certificate is not trusted, then
// is; the body goes through the connection that limits writes.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %d", r.Host, r.Proto, n)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of each handshake that fails
	s.EnableHTTP2 = true                           // which must not be chosen
	s.StartTLS()
	t.Cleanup(s.Close)
	u, _ := url.Parse(s.URL)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, c := range []struct {
		config *tls.Config
		want   string
		event  Event
	}{
		{nil, "HTTP/1.1 502 ", NoConnection},
		{&tls.Config{RootCAs: roots}, "site HTTP/1.1 100000", OK},
	} {
		pool, err := newPool(u)
		if err != nil {
			t.Fatal(err)
		}
		f := &front{Proxy: &Proxy{Pool: pool, TLS: c.config, Log: slog.New(slog.DiscardHandler), Counters: &Counters{}}}
		f.addr = startServer(t, f.Proxy)
		w := dial(t, f.addr)
		w.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n" + strings.Repeat("x", 100000))
		if got, _ := w.rest(); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
		f.counts(t, c.event)
	}
}

// TestTLSTimeout has a backend that accepts, and never says hello.
func TestTLSTimeout(t *testing.T) {
	silent := rawBackend(t, func(w *wire) { _, _ = w.rest() })
	pool, err := newPool(&url.URL{Scheme: "https", Host: silent})
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Proxy: &Proxy{Pool: pool, ConnectTimeout: short, Log: slog.New(slog.DiscardHandler), Counters: &Counters{}}}
	f.addr = startServer(t, f.Proxy)
	if got := get(t, f.addr, "/"); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("%q", got)
	}
	f.counts(t, TLSTimeout)
}

// TestEvents checks the table: every event has a name of its own and a sentence.
func TestEvents(t *testing.T) {
	seen := map[string]bool{}
	for e := range NumEvents {
		if e.String() == "" || seen[e.String()] || !strings.HasSuffix(e.Help(), ".") {
			t.Errorf("event %d: %q, %q", e, e, e.Help())
		}
		seen[e.String()] = true
	}
	if !OK.IsOutcome() || !ClientBodyBad.IsOutcome() || Retried.IsOutcome() || FailedOver.IsOutcome() {
		t.Error("outcomes are not told from other events")
	}
}

// TestNoHijack has a client whose connection cannot be taken: an upgrade is an
// error, and the backend's connection does not stay open.
func TestNoHijack(t *testing.T) {
	closed := make(chan bool)
	f := startFront(t, &Proxy{}, rawBackend(t, func(w *wire) {
		w.head()
		w.send(sure)
		_, _ = w.rest()
		close(closed)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.RemoteAddr = net.JoinHostPort("192.0.2.1", "1")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != http.StatusBadGateway {
		t.Errorf("status %d", w.Code)
	}
	<-closed
	f.counts(t, BadAnswer)
}
