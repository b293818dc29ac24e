package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// rawText is a backend that answers what is asked for at /farm with whatever bytes it is
// told, and all else well, with the path.
type rawText struct {
	address string
	text    atomic.Pointer[[]byte]
	seed    atomic.Uint64 // how it is cut into pieces; the connection is kept behind it if it is odd
	sending atomic.Int32  // how many are being answered so
	number  atomic.Uint64 // of the last request that was asked well
}

// keptFor is how long it keeps a connection. An answer that ends with its connection ends then.
const keptFor = 20 * time.Millisecond

func startRaw(t testing.TB) *rawText {
	b := &rawText{}
	b.address = rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if r.URL.Path != "/farm" {
				if _, err := io.WriteString(c, ok(r.URL.Path)); err != nil {
					return
				}
			} else if !b.say(c) {
				return
			}
			_ = c.SetReadDeadline(time.Now().Add(keptFor))
		}
	})
	return b
}

// say sends the text. It reports whether the connection is kept.
func (b *rawText) say(c *net.TCPConn) bool {
	b.sending.Add(1)
	defer b.sending.Add(-1)
	seed := b.seed.Load()
	random := rand.New(rand.NewPCG(seed, 0))
	for rest := *b.text.Load(); len(rest) > 0; {
		n := 1 + random.IntN(len(rest))
		if _, err := c.Write(rest[:n]); err != nil {
			return false
		}
		if rest = rest[n:]; random.IntN(2) == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	for deadline := time.Now().Add(keptFor); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if n, err := unsent(c); n == 0 || err != nil {
			break
		}
	}
	return seed%2 == 1
}

// silent waits until all is said: what comes behind an answer has come then.
func (b *rawText) silent() {
	for deadline := time.Now().Add(patience); b.sending.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Microsecond)
	}
}

// received is what a client understands of an answer.
type received struct {
	status  int
	infos   int
	fields  string
	body    string
	trailer string
	whole   bool
	refused bool // by our own 502; all else is empty
}

// asked asks one question, and reads the answer as net/http does. Whoever asks next, on the
// same connection or another one, gets an answer of its own.
func (b *rawText) asked(t *testing.T, address, method string) received {
	t.Helper()
	c, in := dialFor(t, address)
	defer c.Close()
	r, open := askOnce(c, in, method)
	b.silent()
	if open {
		if err := b.well(c, in); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the next request on the connection: %v, behind %q", err, *b.text.Load())
		}
	}
	for range 2 {
		other, in := dialFor(t, address)
		if err := b.well(other, in); err != nil {
			t.Errorf("the next request: %v, behind %q", err, *b.text.Load())
		}
		other.Close()
	}
	return r
}

// askOnce asks one question, and reports whether the connection is open for another.
func askOnce(c net.Conn, in *bufio.Reader, method string) (r received, open bool) {
	fmt.Fprintf(c, "%s /farm HTTP/1.1\r\nHost: a\r\n\r\n", method)
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return r, false
		}
		if res.StatusCode < 200 {
			r.infos++
			continue
		}
		body, err := io.ReadAll(res.Body)
		r.status, r.body, r.whole = res.StatusCode, string(body), err == nil
		lines := []string{}
		for name, values := range res.Header {
			// Whether an empty body has a length or comes in no chunks is the same.
			if name != "Date" && name != "Connection" && (name != "Content-Length" || method == "HEAD") {
				if name == "Content-Length" {
					values = []string{fmt.Sprint(res.ContentLength)} // Whatever zeros it begins with.
				}
				if name == "Trailer" {
					values = namesIn(values)
				}
				lines = append(lines, fmt.Sprintf("%s: %q", name, values))
			}
		}
		slices.Sort(lines)
		r.fields = strings.Join(lines, "\n")
		r.trailer = fmt.Sprint(res.Trailer)
		if r.status == http.StatusBadGateway && res.Header.Get("Server") == "ramjet" {
			return received{refused: true}, err == nil && !res.Close
		}
		return r, err == nil && !res.Close
	}
}

// well asks for what is answered well, and wants that and nothing else.
func (b *rawText) well(c net.Conn, in *bufio.Reader) error {
	path := fmt.Sprint("/well/", b.number.Add(1))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		return err
	}
	a, err := readAnswer(in, "GET")
	if err == nil && (a.status != 200 || string(a.body) != path) {
		err = fmt.Errorf("instead of %s: %v", path, a)
	}
	return err
}

func dialFor(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return c, bufio.NewReader(c)
}
