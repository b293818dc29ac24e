package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/accelerator/eventloop"
)

// Requests through the relay of the event loops, seen from outside. That no more
// of them than meant are handed to the complete tier is a part of each test.

// rawBackend serves each connection with a function.
func rawBackend(t testing.TB, serve func(c *net.TCPConn, in *bufio.Reader)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * patience))
				serve(c.(*net.TCPConn), bufio.NewReader(c))
			}()
		}
	}()
	return listener.Addr().String()
}

// startRelay starts the program in front of a backend, with one loop and no checks
// of the backend's health.
func startRelay(t *testing.T, backend string) *hooked {
	t.Helper()
	return startHooked(t, siteOf(t, "home"), fmt.Sprintf(
		`"backends": [{"url": "http://%s"}], "health": {"check": "off"}, "eventloop": {"loops": 1}, "forward": {"idle_timeout": "30s"}`, backend))
}

// relayed wants n requests to have been relayed, and none to have been handed off.
func (h *hooked) relayed(n int) {
	h.t.Helper()
	h.eventually("loop_relayed_total", func(got int) bool { return got == n })
	for r := eventloop.Reason(1); r < eventloop.NumReasons; r++ {
		if handed := h.metric(`handoffs_total\{reason="` + r.String() + `"\}`); handed != 0 {
			h.t.Errorf("%d requests were handed off: %s", handed, r)
		}
	}
	h.eventually("forward_in_flight", none)
	h.eventually("backend_in_flight", none)
}

// Answers come in the order of the requests, whoever has to be asked.
func TestRelayPipeline(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		connections.Add(1)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			answer := fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, len(body))
			switch {
			case strings.HasSuffix(r.URL.Path, "chunks"):
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(answer), answer)
			default:
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
			}
		}
	})
	p := startRelay(t, backend)
	c := p.dial()
	var all bytes.Buffer
	var want []string
	relayed := 0
	for i := range 60 {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&all, "GET / HTTP/1.1\r\nHost: example\r\n\r\n")
			want = append(want, "home")
			continue
		case 1:
			fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: example\r\n\r\n", i)
			want = append(want, fmt.Sprintf("GET /%d 0", i))
		case 2:
			body := strings.Repeat("x", i*i*20) // Up to more than is read at once.
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
			want = append(want, fmt.Sprintf("POST /%d %d", i, len(body)))
		case 3:
			fmt.Fprintf(&all, "GET /%d/chunks HTTP/1.1\r\nHost: example\r\n\r\n", i)
			want = append(want, fmt.Sprintf("GET /%d/chunks 0", i))
		}
		relayed++
	}
	go func() { _, _ = c.Write(all.Bytes()) }()
	for _, body := range want {
		c.want(t, 200, body)
	}
	p.relayed(relayed)
	if n := connections.Load(); n != 1 {
		t.Errorf("the backend had %d connections for requests that came one after the other", n)
	}
}

// What one side does not take is not read from the other.
func TestRelayBackpressure(t *testing.T) {
	t.Parallel()
	const size = 256 << 20 // The kernel may hold tens of MiB for each socket.
	var moved atomic.Int64
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Method == "POST" { // It does not read for a while.
			time.Sleep(time.Second)
			sum := fnv.New64()
			n, err := io.Copy(sum, r.Body)
			if err == nil {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d %x", n, sum.Sum64())
			}
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		for i := int64(0); i < size; i += 64 << 10 {
			n, err := c.Write(pattern(i))
			moved.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	p := startRelay(t, backend)
	sum := fnv.New64()
	for i := int64(0); i < size; i += 64 << 10 {
		sum.Write(pattern(i))
	}

	dial := func() *client {
		c := p.dial()
		if err := c.SetDeadline(time.Now().Add(2 * patience)); err != nil { // As long as the backend's: it is much to move.
			t.Fatal(err)
		}
		return c
	}
	c := dial()
	c.SetReadBuffer(64 << 10)
	c.ask("/download")
	time.Sleep(time.Second)
	if n := moved.Load(); n > size/2 {
		t.Errorf("%d bytes were taken from the backend for a client that reads none", n)
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fnv.New64()
	if n, err := io.Copy(got, res.Body); err != nil || n != size || got.Sum64() != sum.Sum64() {
		t.Errorf("the answer has %d bytes, %v", n, err)
	}

	c = dial()
	fmt.Fprintf(c, "POST /upload HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n\r\n", size)
	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() {
		for i := int64(0); i < size; i += 64 << 10 {
			n, err := c.Write(pattern(i))
			sent.Add(int64(n))
			if err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	time.Sleep(500 * time.Millisecond)
	if n := sent.Load(); n > size/2 {
		t.Errorf("%d bytes were taken from the client for a backend that reads none", n)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	c.want(t, 200, fmt.Sprintf("%d %x", size, sum.Sum64()))
	p.relayed(2)
}

// pattern is 64 KiB of a text that is another one at each place.
func pattern(at int64) []byte {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte((at + int64(i)) * 2654435761 >> 16)
	}
	return b
}

// A tunnel passes on whatever comes, in both directions at once, more than either
// side takes at once, and the end of each direction.
func TestRelayTunnel(t *testing.T) {
	t.Parallel()
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		if r, err := http.ReadRequest(in); err != nil || r.Header.Get("Upgrade") != "echo" || r.Header.Get("Connection") != "Upgrade" {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Echo\r\n\r\nwelcome")
		_, _ = io.Copy(c, in)
		io.WriteString(c, "bye") // The client has ended its direction, and hears this all the same.
	})
	p := startRelay(t, backend)
	c := p.dial()
	const size = 16 << 20
	io.WriteString(c, "GET /tunnel HTTP/1.1\r\nHost: example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly")
	a, err := readAnswer(c.in, "GET")
	if err != nil || a.status != 101 {
		t.Fatalf("%v, %v", a, err)
	}
	p.eventually("forward_tunnels", some)
	go func() {
		for i := int64(0); i < size; i += 64 << 10 {
			if _, err := c.Write(pattern(i)); err != nil {
				return
			}
		}
		c.CloseWrite()
	}()
	time.Sleep(300 * time.Millisecond) // Both directions fill up.
	want := []byte("welcomeearly")
	for i := int64(0); i < size; i += 64 << 10 {
		want = append(want, pattern(i)...)
	}
	want = append(want, "bye"...)
	got, err := io.ReadAll(c.in)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, %d were expected: %v", len(got), len(want), err)
	}
	p.eventually("forward_tunnels", none)
	p.relayed(1)
}

// A tunnel does not keep the program from ending.
func TestRelayTunnelAtTheEnd(t *testing.T) {
	t.Parallel()
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(c, in)
		}
	})
	p := startRelay(t, backend)
	c := p.dial()
	io.WriteString(c, "GET /tunnel HTTP/1.1\r\nHost: example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if a, err := readAnswer(c.in, "GET"); err != nil || a.status != 101 {
		t.Fatalf("%v, %v", a, err)
	}
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the program took %v to end", took)
	}
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		t.Errorf("the tunnel ended with %q, %v", rest, err)
	}
}

// An answer that comes before the request's end ends the connection, and the client
// hears it.
func TestRelayEarlyAnswer(t *testing.T) {
	t.Parallel()
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge")
			_, _ = io.CopyN(io.Discard, in, 64<<10)
		}
	})
	p := startRelay(t, backend)
	c := p.dial()
	const size = 1 << 20
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n\r\n%s", size, pattern(0))
	a, err := readAnswer(c.in, "POST")
	if err != nil || a.status != 413 || string(a.body) != "large" {
		t.Fatalf("%v, %v", a, err)
	}
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection goes on: %v", err)
	}
	p.relayed(1)
}

// A request that has begun when the client goes away is ended at the backend too.
func TestRelayClientLeaves(t *testing.T) {
	t.Parallel()
	left := make(chan error, 10)
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			_, err := in.ReadByte()
			left <- err
		}
	})
	p := startRelay(t, backend)
	for _, leave := range []func(*client){
		func(c *client) { c.Close() },
		func(c *client) { c.SetLinger(0); c.Close() },
	} {
		c := p.dial()
		c.ask("/slow")
		p.eventually("backend_in_flight", some)
		leave(c)
		select {
		case err := <-left:
			if err == nil {
				t.Error("the backend got something instead of the end")
			}
		case <-time.After(patience):
			t.Error("the backend does not learn that the client has gone")
		}
	}
	p.eventually("backend_in_flight", none)
}

// A backend behind a Unix socket is spoken to by the loops, too.
func TestRelayUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "b.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	p := startHooked(t, siteOf(t, "home"), `"backends": [{"url": "unix://`+path+`"}], "health": {"check": "off"}`)
	c := p.dial()
	for _, path := range []string{"/a", "/b"} {
		c.ask(path)
		c.want(t, 200, path)
	}
	p.relayed(2)
}

// Connections that stay are spread over the loops, also if all their requests are
// for the farm.
func TestRelaySpreads(t *testing.T) {
	t.Parallel()
	backend := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfarm")
		}
	})
	p := startHooked(t, siteOf(t, "home"), fmt.Sprintf(`"backends": [{"url": "http://%s"}], "health": {"check": "off"}, "eventloop": {"loops": 2}`, backend))
	for range 64 {
		c := p.dial()
		for range 3 {
			c.ask("/farm")
			c.want(t, 200, "farm")
		}
	}
	_, text := p.ask("GET", "/status")
	var status struct{ Loops []struct{ Connections int } }
	if err := json.Unmarshal([]byte(text), &status); err != nil || len(status.Loops) != 2 {
		t.Fatalf("%v, %s", err, text)
	}
	if a, b := status.Loops[0].Connections, status.Loops[1].Connections; a+b != 64 || a < 24 || b < 24 {
		t.Errorf("the loops have %d and %d connections", a, b)
	}
	p.relayed(3 * 64)
}
