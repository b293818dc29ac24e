package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// The clients of the soak that are slow, and those that are rude. What a rude one
// is owed is checked as well: an answer, or the end of its connection in time.

// slowReader takes its time for a large file, from a loop or from the complete
// tier. The file may have been replaced twice before it has it.
func (s *soak) slowReader() (int, error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetReadBuffer(64 << 10); err != nil {
		return 0, err
	}
	c.in = newReader(slowly{c.TCPConn, s})
	path, asked := "/large.txt", time.Now()
	fields := []string{"", "If-Match: *\r\n"}[rand.IntN(2)] // The second is not for the loops.
	if err := c.send("GET %s HTTP/1.1\r\nHost: example\r\n%s\r\n", path, fields); err != nil {
		return 0, err
	}
	if err := c.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return 0, err
	}
	if err := s.whole(c, path, asked); err != nil {
		return 0, err
	}
	return 1, nil
}

// slowly reads a little at a time as long as the soak lasts.
type slowly struct {
	from io.Reader
	soak *soak
}

func (r slowly) Read(p []byte) (int, error) {
	if r.soak.ctx.Err() == nil && rand.IntN(3) == 0 {
		time.Sleep(about(20 * time.Millisecond))
	}
	return r.from.Read(p[:min(len(p), 8<<10)])
}

// byteByByte writes its heads so.
func (s *soak) byteByByte() (n int, err error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for ; n < 3; n++ {
		path := []string{"/index.html", "/page.html"}[rand.IntN(2)]
		asked := time.Now()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return n, err
		}
		for _, b := range []byte("GET " + path + " HTTP/1.1\r\nHost: example\r\n\r\n") {
			if _, err := c.Write([]byte{b}); err != nil {
				return n, err
			}
			time.Sleep(rand.N(2 * time.Millisecond))
		}
		if err := s.whole(c, path, asked); err != nil {
			return n, err
		}
	}
	return n, nil
}

// halfClosed says at once that it has said all. It is owed its answers, and the
// end.
func (s *soak) halfClosed() (n int, err error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	paths := []string{"/index.html", []string{"/middle.txt", "/large.txt"}[rand.IntN(2)]}
	asked := time.Now()
	for _, path := range paths {
		if err := c.send("GET %s HTTP/1.1\r\nHost: example\r\n\r\n", path); err != nil {
			return n, err
		}
	}
	if err := c.CloseWrite(); err != nil {
		return n, err
	}
	for _, path := range paths {
		if err := s.whole(c, path, asked); err != nil {
			return n, err
		}
		n++
	}
	return n, c.atEnd()
}

// malformedHeads are heads with the status that each must get.
var malformedHeads = []struct {
	text   string
	status int
}{
	{"GET / HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost : example\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: example\r\n folded\r\n\r\n", 400},
	{"GET / HTTP/1.1\nHost: example\n\n", 400},
	{"GET /\x01 HTTP/1.1\r\nHost: example\r\n\r\n", 400},
	{"GET  / HTTP/1.1\r\nHost: example\r\n\r\n", 400},
	{"GET / HTTP/3.0\r\nHost: example\r\n\r\n", 505},
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
	{"POST / HTTP/1.1\r\nHost: example\r\nContent-Length: -1\r\n\r\n", 400},
	{"POST / HTTP/1.1\r\nHost: example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
}

// malformed sends what is no request, perhaps behind some that are.
func (s *soak) malformed() (int, error) {
	bad := malformedHeads[rand.IntN(len(malformedHeads))]
	if err := s.refused(rand.IntN(3), bad.text, bad.status); err != nil {
		return 0, fmt.Errorf("%q: %w", bad.text, err)
	}
	return 1, nil
}

// tooLarge sends a head above the limit.
func (s *soak) tooLarge() (int, error) {
	head := "GET / HTTP/1.1\r\nHost: example\r\nX-Large: " + strings.Repeat("x", 40_000) + "\r\n\r\n"
	return 1, s.refused(rand.IntN(2), head, http.StatusRequestHeaderFieldsTooLarge)
}

// refused sends good requests and a bad one, and wants as many answers, the
// refusal, and the end.
func (s *soak) refused(good int, bad string, status int) error {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return err
	}
	defer c.Close()
	const path = "/index.html"
	asked := time.Now()
	if err := c.send("%s%s", strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: example\r\n\r\n", good), bad); err != nil {
		return err
	}
	for range good {
		if err := s.whole(c, path, asked); err != nil {
			return err
		}
	}
	a, err := readAnswer(c.in, "GET")
	if err != nil {
		return err
	}
	if a.status != status {
		return fmt.Errorf("status %d, want %d", a.status, status)
	}
	return errors.Join(a.judge(), c.atEnd())
}

// sleeper keeps its connection and asks for nothing more. It is sent away in time,
// and not before.
func (s *soak) sleeper() (int, error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	asked := time.Now()
	if err := c.send("GET /index.html HTTP/1.1\r\nHost: example\r\n\r\n"); err != nil {
		return 0, err
	}
	if err := s.whole(c, "/index.html", asked); err != nil {
		return 0, err
	}
	// Not from when the answer was read: this process may be late for that. The rest is
	// for the clock of a loop, which stands still for the length of a turn.
	if ended, err := s.waitEnd(c, soakIdleTime+patience/2); err != nil || !ended {
		return 0, err
	}
	if took := time.Since(asked); took < soakIdleTime-250*time.Millisecond {
		return 0, fmt.Errorf("sent away after %v", took)
	}
	return 1, nil
}

// neverWrites opens a connection and says nothing. It is sent away in time: the
// kernel has it for some seconds, a loop for the time of a head.
func (s *soak) neverWrites() (int, error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	ended, err := s.waitEnd(c, soakHeadTime+patience)
	if !ended {
		return 0, err
	}
	return 1, err
}

// waitEnd waits for the server to close a connection on which it has nothing to
// say, and reports whether it did before the time was over.
func (s *soak) waitEnd(c *client, atMost time.Duration) (bool, error) {
	for since := time.Now(); s.ctx.Err() == nil; {
		if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return false, err
		}
		err := c.atEnd()
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return false, err
		case time.Since(since) > atMost:
			return false, fmt.Errorf("%w: still open after %v", errLeftover, atMost)
		}
	}
	return false, nil
}

// reset breaks off in the middle of a body, of an answer or of a request.
func (s *soak) reset() (int, error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	request := []string{
		"GET /large.txt HTTP/1.1\r\nHost: example\r\n\r\n",
		"GET /large.txt HTTP/1.1\r\nHost: example\r\nRange: bytes=5-\r\n\r\n",
		"POST /farm HTTP/1.1\r\nHost: example\r\nContent-Length: 100000\r\n\r\nbut not so many",
	}[rand.IntN(3)]
	if err := c.send("%s", request); err != nil {
		return 0, err
	}
	if request[0] == 'G' {
		if line, err := readLine(c.in); err != nil || !strings.HasPrefix(line, "HTTP/1.1 20") {
			return 0, fmt.Errorf("%q, %w", line, err)
		}
		if _, err := io.CopyN(io.Discard, c.in, rand.Int64N(int64(changingFiles["/large.txt"])/2)); err != nil {
			return 0, err
		}
	}
	return 1, c.SetLinger(0)
}

// neverReads asks for more than all buffers hold and takes none of it. It is cut
// off in time.
func (s *soak) neverReads() (int, error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetReadBuffer(16 << 10); err != nil {
		return 0, err
	}
	const requests = 8
	one := []string{"GET /large.txt HTTP/1.1\r\nHost: example\r\n\r\n", "GET /large.txt HTTP/1.1\r\nHost: example\r\nRange: bytes=0-\r\n\r\n"}[rand.IntN(2)]
	if err := c.send("%s", strings.Repeat(one, requests)); err != nil {
		return 0, err
	}
	s.pause(4 * soakStallTime) // At least twice its time.
	if s.ctx.Err() != nil {
		return 0, nil
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	// If all of it comes, or nothing but nobody says that it is over, it was not cut.
	n, err := io.Copy(io.Discard, c.in)
	if n >= int64(requests*changingFiles["/large.txt"]) || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("a client that did not read was not cut off: %d bytes, %v", n, err)
	}
	return 1, nil
}

// flood opens connections from two addresses until neither they nor the program
// have room for more, and keeps them for a moment. Those that are let in are
// served.
func (s *soak) flood() (n int, err error) {
	var flood []*client
	defer func() {
		for _, c := range flood {
			c.SetLinger(0) // Else they wait for their end until the ports run out.
			c.Close()
		}
	}()
	asked := time.Now()
	for i := range 2 * (soakPerAddress + 40) {
		c, err := s.connect([]string{"127.0.0.66", "127.0.0.67"}[i%2])
		if err != nil {
			return 0, err
		}
		flood = append(flood, c)
		_ = c.send("GET /index.html HTTP/1.1\r\nHost: example\r\n\r\n") // It may be closed already.
	}
	until := time.Now().Add(500 * time.Millisecond)
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, c := range flood {
		group.Go(func() {
			_ = c.SetDeadline(until)
			a, problem := readAnswer(c.in, "GET")
			if problem == nil {
				problem = s.judge(a, "GET", "/index.html", false, asked)
			} else if turnedAway(a, problem) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if err = errors.Join(err, problem); problem == nil {
				n++
			}
		})
	}
	group.Wait()
	return n, err
}

// turnedAway tells whether a connection ended, or still waits, without a byte of
// an answer.
func turnedAway(a *answer, err error) bool {
	var broken *net.OpError
	return a == nil && (errors.Is(err, io.EOF) || errors.As(err, &broken))
}
