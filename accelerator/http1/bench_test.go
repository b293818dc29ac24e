package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

const browserGet = "GET /some/page.html HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.org/some/\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"

// BenchmarkRequest compares a kept-alive GET of 1 KB with and without the checks.
func BenchmarkRequest(b *testing.B) {
	body := make([]byte, 1024)
	h := func(w http.ResponseWriter, r *http.Request) { w.Write(body) }
	run := func(b *testing.B, addr string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for b.Loop() {
			io.WriteString(c, browserGet)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
		}
	}
	b.Run("checked", func(b *testing.B) { run(b, newBox(b, Limits{}, h).addr) })
	b.Run("plain", func(b *testing.B) {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(h)}
		go srv.Serve(tcp)
		defer srv.Close()
		run(b, tcp.Addr().String())
	})
}

// BenchmarkFramer is the cost of the checks alone, for a browser's head.
func BenchmarkFramer(b *testing.B) {
	f := framer{headBytes: 32 << 10, headFields: 128}
	head := []byte(browserGet)
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		if _, n, r := f.scan(head); n != len(head) || r != None {
			b.Fatal(r)
		}
	}
}
