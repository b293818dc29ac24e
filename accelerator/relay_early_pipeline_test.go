package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// What is behind an answer that came early: more of it than there is room for, or the
// client's next request.

// An early answer that is larger than all buffers comes whole to a client that reads it
// late, and one that never does is cut in time, without blame for the backend.
func TestEarlyLargeAnswer(t *testing.T) {
	t.Parallel()
	const size = 64 << 20 // The kernel may hold some MiB for each socket.
	sum := fnv.New64()
	for at := int64(0); at < size; at += 64 << 10 {
		sum.Write(pattern(at))
	}
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			// A body of which nothing more comes for the stall time ends the request, whatever the client reads.
			f, late := startEarly(t, setting, 1, `, "limits": {"stall_time": "3s"}`), startEarly(t, setting, 1, "")
			var moved atomic.Int64
			var used atomic.Int32
			length := func(c *earlyConn) bool {
				used.Store(c.number)
				c.send(fmt.Sprintf("HTTP/1.1 413 Content Too Large\r\nContent-Length: %d\r\n\r\n", size))
				for at := int64(0); at < size; at += 64 << 10 {
					n, err := c.Write(pattern(at))
					if moved.Add(int64(n)); err != nil {
						return false
					}
				}
				return c.readsOn()
			}
			chunks := func(c *earlyConn) bool {
				used.Store(c.number)
				c.send("HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n")
				for at := int64(0); at < size; at += 64 << 10 {
					n, err := fmt.Fprintf(c, "%x\r\n%s\r\n", 64<<10, pattern(at))
					if moved.Add(int64(n)); err != nil {
						return false
					}
				}
				return c.send("0\r\n\r\n") && c.readsOn()
			}
			for _, b := range []*earlyBackend{f.backends[0], late.backends[0]} {
				b.on("/length", length)
				b.on("/chunks", chunks)
			}
			for _, path := range []string{"/length", "/chunks"} {
				t.Run("read late"+path, func(t *testing.T) {
					moved.Store(0)
					before := late.events(t)
					c := late.begin("POST", path, "")
					for last := int64(-1); last == 0 || last != moved.Load(); time.Sleep(200 * time.Millisecond) {
						last = moved.Load() // Until no more is taken of it.
					}
					if n := moved.Load(); n > size/2 {
						t.Errorf("%d bytes were taken from the backend for a client that reads none", n)
					}
					res, err := http.ReadResponse(c.in, nil)
					if err != nil || res.StatusCode != 413 {
						t.Fatal(err, res)
					}
					got := fnv.New64()
					if n, err := io.Copy(got, res.Body); err != nil || n != size || got.Sum64() != sum.Sum64() {
						t.Errorf("the answer has %d bytes, %v", n, err)
					}
					c.ends(t)
					late.happened(t, before, "ok", 1)
					late.others(t, used.Load())
				})
				t.Run("never read"+path, func(t *testing.T) {
					before := f.events(t)
					failures := f.metric("backend_failures_total")
					c := f.begin("POST", path, "")
					c.waitCut(t)
					f.happened(t, before, "client_stalled", 1)
					if n := f.metric("backend_failures_total"); n != failures {
						t.Errorf("%d failures of the backend were counted", n-failures)
					}
					f.others(t, used.Load())
				})
			}
		})
	}
}

// Requests behind one that was answered early get their own answers, or the connection
// ends before them, which net/http does not always announce. That the backend does not take one for a part of the body, or a part
// of the body for one, startEarlyBackend sees to.
func TestEarlyPipeline(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nearly"
			for name, act := range map[string]func(*earlyConn) bool{
				"serves on": func(c *earlyConn) bool { return c.send(early) && c.body() },
				"closes":    func(c *earlyConn) bool { c.send(early); return c.closes() },
				"resets":    func(c *earlyConn) bool { c.send(early); return c.resets() },
				"fails":     (*earlyConn).closes,
				"is not HTTP": func(c *earlyConn) bool {
					c.send("220 mail.example ESMTP\r\n")
					return c.readsOn()
				},
			} {
				for _, size := range []int{100, 10 << 10, 64 << 10, earlySize} {
					t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) { f.pipeline(t, act, size, name) })
				}
			}
		})
	}
}

func (f *earlyFarm) pipeline(t *testing.T, act func(*earlyConn) bool, size int, name string) {
	want := []int{413}
	if name == "fails" || name == "is not HTTP" {
		want = []int{502}
	}
	f.backends[0].on("/early", act)
	c := f.dial()
	var all bytes.Buffer
	fmt.Fprintf(&all, "POST /early HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	for i := range 3 {
		fmt.Fprintf(&all, "GET /well/%d HTTP/1.1\r\nHost: example\r\n\r\n", i)
	}
	go func() { _, _ = c.Write(all.Bytes()) }() // It fails when the connection ends before.
	a, err := readAnswer(c.in, "POST")
	if err != nil || a.status != want[0] {
		t.Fatalf("%d was expected: %v, %v", want[0], err, a)
	}
	closing := len(a.values("Connection")) > 0
	for i := range 3 {
		a, err := readAnswer(c.in, "GET")
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			break
		}
		if err != nil || a.status != 200 || closing || !strings.HasPrefix(string(a.body), fmt.Sprintf("GET /well/%d ", i)) {
			t.Fatalf("request %d: %v, %v, closing %v", i, err, a, closing)
		}
		closing = len(a.values("Connection")) > 0
	}
	f.well(t, f.dial())
}

// An idempotent request that a backend fails with a part of its body sent goes to another
// backend whole, or not at all; and a small one is sent again to the same where its kept
// connection had just been closed.
func TestEarlyFailureThenWhole(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 2, `, "forward": {"retry_share": 100, "first_byte_timeout": "5s"}`)
			for _, method := range []string{"PUT", "POST"} {
				for _, size := range []int{10, 10 << 10, 100 << 10, earlySize} {
					t.Run(fmt.Sprintf("%s %d", method, size), func(t *testing.T) { f.failsOnce(t, method, size) })
				}
			}
		})
	}
}

func (f *earlyFarm) failsOnce(t *testing.T, method string, size int) {
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	var times atomic.Int32
	for _, b := range f.backends {
		b.on("/once", func(c *earlyConn) bool {
			if times.Add(1) == 1 {
				c.read(int64(min(size, earlyPart)) / 2) // It dies in the middle of it.
				return c.closes()
			}
			got := make([]byte, c.left)
			n, err := io.ReadFull(c.in, got)
			c.left -= int64(n)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("the body came as another one: %d of %d bytes, %v", n, len(body), err)
				return false
			}
			return c.send(ok("whole"))
		})
	}
	c := f.dial()
	go func() {
		fmt.Fprintf(c, "%s /once HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n\r\n%s", method, size, body)
		c.ask("/well/behind")
	}()
	a, err := readAnswer(c.in, method)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus, wantTimes := 502, int32(1)
	if method == "PUT" && size <= 10<<10 {
		wantStatus, wantTimes = 200, 2
	}
	if a.status != wantStatus || times.Load() != wantTimes {
		t.Errorf("the request came %d times to a backend, and its answer is %v", times.Load(), a)
	}
	if len(a.values("Connection")) > 0 {
		c.ends(t)
		return
	}
	if a, err = readAnswer(c.in, "GET"); err != nil || !strings.HasPrefix(string(a.body), "GET /well/behind ") {
		t.Errorf("the request behind it: %v, %v", err, a)
	}
}

// A kept connection that the backend closes just as a request with a small body leaves is
// replaced, if that may be repeated.
func TestKeptConnectionDiesAtBody(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			for _, c := range []struct {
				method string
				size   int
				status int
			}{{"PUT", 100, 200}, {"PUT", 10 << 10, 200}, {"DELETE", 5, 200}, {"PUT", 100 << 10, 502}} {
				t.Run(fmt.Sprintf("%s %d", c.method, c.size), func(t *testing.T) {
					f.backends[0].on("/dies", func(b *earlyConn) bool {
						if b.asked > 1 {
							b.read(b.left / 2)
							return b.closes()
						}
						return b.body() && b.send(ok("done"))
					})
					client := f.dial()
					f.well(t, client)
					go fmt.Fprintf(client, "%s /dies HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n\r\n%s", c.method, c.size, strings.Repeat("x", c.size))
					client.want(t, c.status, "")
				})
			}
		})
	}
}
