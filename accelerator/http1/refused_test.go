package http1

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/connlimit"
)

// OnRefused hears of what no handler hears of, and of nothing else: each request
// has either a handler or that.
func TestOnRefused(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	for name, c := range map[string]struct {
		in      string
		refused []Reason
		handled int
	}{
		"good":                              {get + "Connection: close\r\n\r\n", nil, 1},
		"malformed":                         {get + "X : y\r\n\r\n", []Reason{SpaceBeforeColon}, 0},
		"malformed behind a good one":       {get + "\r\n" + get + "X : y\r\n\r\n", []Reason{SpaceBeforeColon}, 1},
		"too large":                         {get + "X: " + strings.Repeat("x", 5000) + "\r\n\r\n", []Reason{HeadTooLarge}, 0},
		"unknown coding":                    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", []Reason{CodingUnknown}, 0},
		"another version":                   {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", []Reason{BadVersion}, 0},
		"another version behind a good one": {get + "\r\nGET / HTTP/3.0\r\nHost: a\r\n\r\n", []Reason{BadVersion}, 1},
		"unknown coding behind a good one":  {get + "\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", []Reason{CodingUnknown}, 1},
		"a broken body":                     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			refused, handled := make(chan Reason, 10), make(chan bool, 10)
			l := &Listener{Listener: tcp, Limiter: connlimit.New(0, 0), Limits: Limits{HeadBytes: 4096}, OnRefused: func(client netip.AddrPort, r Reason) {
				if client.Addr() != netip.MustParseAddr("127.0.0.1") {
					t.Errorf("the client is %s", client)
				}
				refused <- r
			}}
			server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				time.Sleep(20 * time.Millisecond)
				if err := r.Context().Err(); err != nil {
					t.Errorf("the good one is ended for what is behind it: %v", err)
				}
				handled <- true
			})}
			l.Attach(server)
			go func() { _ = server.Serve(l) }()
			defer server.Close()
			conn, err := net.Dial("tcp", tcp.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, c.in)
			_, _ = io.ReadAll(conn)
			if len(handled) != c.handled || len(refused) != len(c.refused) {
				t.Fatalf("%d handled, %d refused", len(handled), len(refused))
			}
			for _, want := range c.refused {
				if got := <-refused; got != want || got.Status() < 400 {
					t.Errorf("%s, %d, instead of %s", got, got.Status(), want)
				}
			}
		})
	}
}
