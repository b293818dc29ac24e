package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"ramjet/accelerator/bench/load"
)

// request is one of a benchmark's requests, and says what answers it.
type request struct {
	path        string
	answer      int    // the backend gives so many bytes; 0: the file at path is the answer
	body        int    // a POST with so many bytes
	socket      int    // not a request, but messages of so many bytes through a WebSocket
	accept      string // Accept-Encoding, or empty
	coding      string // of the answer: "br", "gzip", or empty
	conditional bool   // with If-None-Match: to be answered 304
	closes      bool   // with Connection: close
}

// host is whom the requests ask.
const host = "bench.example"

// extensions are those of the files that hold a coding's bytes.
var extensions = map[string]string{"": "", "br": ".br", "gzip": ".gz"}

// bytes is the request as a simple client sends it.
func (r request) bytes(etag string) []byte {
	var b bytes.Buffer
	method := http.MethodGet
	if r.body > 0 {
		method = http.MethodPost
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ramjet-bench/1.0\r\nAccept: */*\r\n", method, r.path, host)
	if r.accept != "" {
		fmt.Fprintf(&b, "Accept-Encoding: %s\r\n", r.accept)
	}
	if r.conditional {
		fmt.Fprintf(&b, "If-None-Match: %s\r\n", etag)
	}
	if r.closes {
		b.WriteString("Connection: close\r\n")
	}
	if r.body > 0 {
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", r.body)
	}
	b.WriteString("\r\n")
	b.Write(load.Content(r.body))
	return b.Bytes()
}

// check asks a server, compares the answer with the file below root, and returns
// what load needs to know.
func (r request) check(at netip.AddrPort, root string) (load.Request, *load.Answer, error) {
	plain := r
	plain.conditional = false
	l, answer, err := load.Probe(at, plain.bytes(""))
	if err != nil {
		return l, nil, err
	}
	want, err := r.want(root)
	if err != nil {
		return l, nil, err
	}
	if err := r.compare(answer, want); err != nil {
		return l, nil, fmt.Errorf("%s: %w", r.path, err)
	}
	if !r.conditional {
		return l, answer, nil
	}
	l, answer, err = load.Probe(at, r.bytes(answer.Header.Get("ETag")))
	if err == nil && (answer.Status != http.StatusNotModified || len(answer.Body) > 0) {
		err = fmt.Errorf("GET %s with If-None-Match: status %d and %d bytes of body, want 304 and none", r.path, answer.Status, len(answer.Body))
	}
	return l, answer, err
}

// want is the body of the answer.
func (r request) want(root string) ([]byte, error) {
	if r.answer > 0 {
		return load.Content(r.answer), nil
	}
	return os.ReadFile(filepath.Join(root, r.path+extensions[r.coding]))
}

// compare says what is wrong with an answer.
func (r request) compare(answer *load.Answer, want []byte) error {
	if answer.Status != http.StatusOK {
		return fmt.Errorf("status %d, want 200: %.200q", answer.Status, answer.Body)
	}
	if !bytes.Equal(answer.Body, want) {
		return fmt.Errorf("a body of %d bytes that is not the file's %d", len(answer.Body), len(want))
	}
	// Probe has seen a Content-Length, and that it is true.
	fields := []string{"ETag", "Last-Modified", "Date", "Server"}
	if r.answer > 0 {
		fields = []string{"Date", "Server"}
	}
	for _, name := range fields {
		if answer.Header.Get(name) == "" {
			return fmt.Errorf("no %s", name)
		}
	}
	if media, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";"); media != "text/html" {
		return fmt.Errorf("Content-Type %q, want text/html", media)
	}
	if got := answer.Header.Get("Content-Encoding"); got != r.coding {
		return fmt.Errorf("Content-Encoding %q, want %q", got, r.coding)
	}
	return nil
}
