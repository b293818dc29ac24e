package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// What a backend says before it has the whole request, through both tiers. Whatever it
// is, the client gets a well-formed answer or one that breaks off, in time; nobody gets
// the answer of another; and the connection to the backend is used again only if the
// request was sent whole, and answered.

const (
	earlySize = 1 << 20  // of a body
	earlyPart = 64 << 10 // of it, as much as is sent before the answer has come
)

// begin sends the head of a request with a body of earlySize bytes, and the first of them.
func (f *earlyFarm) begin(method, path, fields string) *client {
	f.t.Helper()
	c := f.dial()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n%s\r\n%s", method, path, earlySize, fields, pattern(0))
	return c
}

// ends wants the client's connection to end, with nothing more. It may be reset, for the
// client is not done with its request.
func (c *client) ends(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(c.in); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("behind the answer: %.200q, %v", rest, err)
	}
}

// The final answer comes while the client still sends. It gets it, however the backend
// goes on, and its connection ends behind it: what follows there is the rest of the body.
func TestEarlyFinal(t *testing.T) {
	t.Parallel()
	const text = "early"
	framings := map[string]string{
		"length": "Content-Length: 5\r\n\r\n" + text,
		"chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\n" + text + "\r\n0\r\n\r\n",
		"end":    "\r\n" + text,
	}
	ways := map[string]func(c *earlyConn) bool{"reads on": (*earlyConn).readsOn, "closes": (*earlyConn).closes, "resets": (*earlyConn).resets}
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			for _, status := range []string{"413 Content Too Large", "401 Unauthorized", "200 OK"} {
				for _, fields := range []string{"", "Connection: close\r\n"} {
					if fields != "" && status[:3] != "413" {
						continue
					}
					for framing, body := range framings {
						for way, goOn := range ways {
							if framing == "end" && way == "reads on" {
								continue // There is no end.
							}
							t.Run(fmt.Sprintf("%s %q %s %s", status[:3], fields, framing, way), func(t *testing.T) {
								f.final(t, framing == "end" && way == "resets", func(c *earlyConn) bool {
									if framing == "end" && way == "closes" && !c.read(earlyPart) { // Or it would be reset.
										return false
									}
									return c.send("HTTP/1.1 "+status+"\r\n"+fields+body) && goOn(c)
								}, status[:3], text)
							})
						}
					}
				}
			}
		})
	}
}

// final is one of its cases. The answer breaks off if its end was to be that of the
// connection, and that was reset.
func (f *earlyFarm) final(t *testing.T, breaks bool, act func(c *earlyConn) bool, status, body string) {
	t.Helper()
	var used atomic.Int32
	f.backends[0].on("/final", func(c *earlyConn) bool {
		used.Store(c.number)
		return act(c)
	})
	before := f.events(t)
	c := f.begin("POST", "/final", "")
	a, err := readAnswer(c.in, "POST")
	if breaks {
		if err == nil || a != nil && a.framing != "chunked" {
			t.Errorf("an answer that broke off looks whole: %v, %v", a, err)
		}
		f.happened(t, before, "backend_aborted", 1)
	} else {
		if err != nil || fmt.Sprint(a.status) != status || string(a.body) != body {
			t.Fatalf("%s %q was expected: %v, %v", status, body, err, a)
		}
		if options := a.values("Connection"); len(options) != 1 || options[0] != "close" {
			t.Errorf("Connection: %q", options)
		}
		c.ends(t)
		f.happened(t, before, "ok", 1)
	}
	f.others(t, used.Load())
}

// The backend answers and is gone while more of the body arrives: it is the answer that
// counts, not that the rest could not be sent. An answer whose end is that of the
// connection is not whole if that was reset, whoever notices that.
func TestEarlyFinalThenGone(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			for round := range 8 {
				for _, c := range []struct {
					name, answer string
					closes       bool // in good order, so that the reset is the answer to what comes behind that
					want         string
				}{
					{"length, reset", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nearly", false, "413 early"},
					{"length, closed", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nearly", true, "413 early"},
					{"end, reset", "HTTP/1.1 413 Content Too Large\r\n\r\nearly", false, "broken"},
					{"end, closed", "HTTP/1.1 413 Content Too Large\r\n\r\nearly", true, "413 early"},
					{"half a body, reset", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\near", false, "broken"},
					{"half a head, reset", "HTTP/1.1 413 Content Too La", false, "502"},
					{"nothing, reset", "", false, "502"},
					{"nothing, closed", "", true, "502"},
				} {
					t.Run(fmt.Sprintf("%s %d", c.name, round), func(t *testing.T) {
						f.gone(t, c.answer, c.closes, c.want)
					})
				}
			}
		})
	}
}

func (f *earlyFarm) gone(t *testing.T, answer string, closes bool, want string) {
	t.Helper()
	came, gone, went := make(chan bool, 1), make(chan bool), make(chan bool)
	f.backends[0].on("/gone", func(c *earlyConn) bool {
		came <- c.read(earlyPart)
		<-gone
		c.send(answer)
		if !closes {
			c.resets()
		}
		_ = c.Close()
		close(went)
		return false
	})
	c := f.begin("POST", "/gone", "")
	if !<-came {
		t.Fatal("the request does not come")
	}
	f.whileStopped(func() {
		_, _ = c.Write(pattern(1))
		waitTaken(t, c.TCPConn) // So it is the first event.
		close(gone)
		<-went
	})
	a, err := readAnswer(c.in, "POST")
	got := ""
	switch {
	case err != nil:
		got = "broken"
	case a.status == 502:
		got = "502"
	default:
		got = fmt.Sprintf("%d %s", a.status, a.body)
	}
	if got != want {
		t.Errorf("%q was expected: %v, %v", want, err, a)
	}
	f.well(t, f.dial())
}

// 100 before the final answer: the client that waits for it gets it, the other does not.
// The final one may come before the body that was asked for.
func TestEarlyContinue(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			for _, expects := range []bool{false, true} {
				for _, refused := range []bool{false, true} {
					t.Run(fmt.Sprintf("expects %v, refused %v", expects, refused), func(t *testing.T) { f.continues(t, expects, refused) })
				}
			}
		})
	}
}

func (f *earlyFarm) continues(t *testing.T, expects, refused bool) {
	var used atomic.Int32
	f.backends[0].on("/continue", func(c *earlyConn) bool {
		used.Store(c.number)
		if !c.send("HTTP/1.1 100 Continue\r\n\r\n") || expects != (c.fields.Get("Expect") == "100-continue") {
			return false
		}
		if refused {
			return c.read(earlyPart) && c.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge") && c.readsOn()
		}
		return c.body() && c.send(ok("all of it"))
	})
	c := f.dial()
	fields := ""
	if expects {
		fields = "Expect: 100-continue\r\n"
	}
	fmt.Fprintf(c, "POST /continue HTTP/1.1\r\nHost: example\r\nContent-Length: %d\r\n%s\r\n", earlySize, fields)
	if expects {
		if a, err := readAnswer(c.in, "POST"); err != nil || a.status != 100 {
			t.Fatalf("100 was expected: %v, %v", err, a)
		}
	}
	_, _ = c.Write(pattern(0))
	if !refused {
		for at := earlyPart; at < earlySize; at += earlyPart {
			_, _ = c.Write(pattern(int64(at)))
		}
		c.want(t, 200, "all of it")
		if n := f.well(t, c); n != used.Load() {
			t.Errorf("the connection to the backend is not used again")
		}
		return
	}
	c.want(t, 413, "large")
	c.ends(t)
	f.others(t, used.Load())
}

// 103 reaches the client before it has sent its body. The exchange goes on, and so do
// both connections behind it; but for a flood of them, which is a failure.
func TestEarlyHintsBeforeBody(t *testing.T) {
	t.Parallel()
	const hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			var used atomic.Int32
			f.backends[0].on("/hints", func(c *earlyConn) bool {
				used.Store(c.number)
				return c.read(earlyPart) && c.send(hint+hint) && c.body() && c.send(hint+ok("all of it"))
			})
			f.backends[0].on("/flood", func(c *earlyConn) bool {
				used.Store(c.number)
				return c.send(strings.Repeat(hint, 100)) && c.readsOn()
			})
			hinted := func(c *client) {
				t.Helper()
				if a, err := readAnswer(c.in, "POST"); err != nil || a.status != 103 || len(a.values("Link")) != 1 {
					t.Fatalf("103 was expected: %v, %v", err, a)
				}
			}
			before := f.events(t)
			c := f.begin("POST", "/hints", "")
			hinted(c)
			hinted(c)
			for at := earlyPart; at < earlySize; at += earlyPart {
				_, _ = c.Write(pattern(int64(at)))
			}
			hinted(c)
			c.want(t, 200, "all of it")
			if n := f.well(t, c); n != used.Load() {
				t.Errorf("the connection to the backend is not used again")
			}
			f.happened(t, before, "ok", 2)

			before = f.events(t)
			c = f.begin("POST", "/flood", "")
			a, err := readAnswer(c.in, "POST")
			for err == nil && a.status == 103 {
				a, err = readAnswer(c.in, "POST")
			}
			if err != nil || a.status != 502 {
				t.Fatalf("a flood of 103 ends in %v, %v", a, err)
			}
			c.ends(t)
			f.happened(t, before, "bad_answer", 1)
			f.others(t, used.Load())
		})
	}
}

// A 101 that nobody asked for, or that comes before the request is whole, opens no tunnel:
// the client gets 502, and what the backend says behind it nobody.
func TestEarlyUpgrade(t *testing.T) {
	t.Parallel()
	const change = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			for _, c := range []struct {
				name, method, fields string
				body                 bool
			}{
				{"not asked for", "GET", "", false},
				{"not asked for, the body still comes", "POST", "", true},
				{"another was asked for", "GET", "Connection: upgrade\r\nUpgrade: other\r\n", false},
				{"asked for, the body still comes", "POST", "Connection: upgrade\r\nUpgrade: echo\r\n", true},
			} {
				t.Run(c.name, func(t *testing.T) {
					var used atomic.Int32
					f.backends[0].on("/upgrade", func(b *earlyConn) bool {
						used.Store(b.number)
						return b.send(change+ok("poison")) && b.readsOn()
					})
					before := f.events(t)
					client := f.dial()
					if c.body {
						client = f.begin(c.method, "/upgrade", c.fields)
					} else {
						fmt.Fprintf(client, "%s /upgrade HTTP/1.1\r\nHost: example\r\n%s\r\n", c.method, c.fields)
					}
					a, err := readAnswer(client.in, c.method)
					if err != nil || a.status != 502 {
						t.Fatalf("502 was expected: %v, %v", err, a)
					}
					if c.body {
						client.ends(t)
					} else {
						f.well(t, client)
					}
					f.happened(t, before, "bad_answer", 1)
					f.others(t, used.Load())
				})
			}
		})
	}
}

// What a backend says on a connection that is kept, just as the next request comes, is
// not the answer to that.
func TestUnaskedAnswer(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			f := startEarly(t, setting, 1, "")
			for name, unasked := range map[string]string{
				"200": ok("poison"),
				"408": "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
				"101": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\npoison",
				"103": "HTTP/1.1 103 Early Hints\r\n\r\n" + ok("poison"),
			} {
				for _, method := range []string{"GET", "POST"} {
					for _, closes := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s %s, closed %v", name, method, closes), func(t *testing.T) { f.unasked(t, unasked, method, closes) })
					}
				}
			}
		})
	}
}

func (f *earlyFarm) unasked(t *testing.T, text, method string, closes bool) {
	now, said := make(chan bool), make(chan bool)
	f.backends[0].on("/first", func(c *earlyConn) bool {
		if !c.send(ok("first")) {
			return false
		}
		<-now
		c.send(text)
		if closes {
			_ = c.CloseWrite()
		}
		waitTaken(t, c.TCPConn)
		close(said)
		return c.readsOn()
	})
	c := f.dial()
	c.ask("/first")
	c.want(t, 200, "first")
	f.eventually("forward_in_flight", none)
	f.whileStopped(func() {
		fmt.Fprintf(c, "%s /well/unasked HTTP/1.1\r\nHost: example\r\nContent-Length: 0\r\n\r\n", method)
		waitTaken(t, c.TCPConn) // So it is the first event.
		close(now)
		<-said
	})
	a, err := readAnswer(c.in, method)
	if err != nil || a.status != 200 || !strings.HasPrefix(string(a.body), method+" /well/unasked ") {
		t.Errorf("its own answer was expected: %v, %v", err, a)
	}
}
