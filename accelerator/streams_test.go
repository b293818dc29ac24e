package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Streams, trailers and answers before the answer, between the client and the server of
// net/http, through both tiers.

// inTime returns a context of a request that may take a moment.
func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Each event reaches the client before the next is sent, however long a stream lasts and
// is silent, as long as forward.idle_timeout allows that: no other limit is for it. The
// backend learns that a client has left.
func TestEventStream(t *testing.T) {
	t.Parallel()
	const limit, silence, events = 300 * time.Millisecond, 700 * time.Millisecond, 5
	for tier, setting := range tiers {
		for name, more := range map[string]string{
			"": "",
			// Only the complete tier knows this one.
			"with a total time": fmt.Sprintf(`"total_timeout": "%v", `, limit),
		} {
			t.Run(tier+name, func(t *testing.T) {
				t.Parallel()
				seen, left := make(chan bool), make(chan error, 1)
				p := startBefore(t, setting+fmt.Sprintf(`"limits": {"head_time": "%[1]v", "idle_time": "%[1]v", "stall_time": "%[1]v"}, "health": {"check": "off"},
					"forward": {%[2]s"first_byte_timeout": "%[1]v", "idle_timeout": "%[3]v"}, `, limit, more, patience),
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", "text/event-stream")
						for n := range events {
							if n > 0 {
								time.Sleep(silence)
							}
							fmt.Fprintf(w, "id: %d\ndata: event\n\n", n)
							_ = http.NewResponseController(w).Flush()
							select {
							case <-seen:
							case <-time.After(patience):
								return
							}
						}
						select {
						case <-r.Context().Done():
							left <- nil
						case <-time.After(patience):
							left <- errors.New("the backend does not learn that the client has left")
						}
					}))
				ctx, leave := context.WithCancel(inTime(t))
				r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+p.listen+"/events", nil)
				a, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Body.Close()
				in := bufio.NewReader(a.Body)
				for n := range events {
					for _, want := range []string{fmt.Sprintf("id: %d\n", n), "data: event\n", "\n"} {
						if line, err := in.ReadString('\n'); err != nil || line != want {
							t.Fatalf("event %d: %q, %v", n, line, err)
						}
					}
					seen <- true
				}
				leave()
				if err := <-left; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// What is only known behind a body passes both ways, announced or not, also if the head
// has a field of that name: so it is with a GET here, for its answer has no body, and
// the backend's head goes out behind its handler.
func TestTrailers(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			got := make(chan http.Header, 1)
			p := startBefore(t, setting, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				_ = http.NewResponseController(w).EnableFullDuplex()
				_, _ = io.Copy(w, r.Body)
				got <- r.Trailer
				w.Header().Set("X-Sum", "of the answer")
				w.Header().Set(http.TrailerPrefix+"X-Late", "not announced")
			}))
			for _, method := range []string{"GET", "POST"} {
				var body io.Reader
				var sent http.Header
				if method == "POST" {
					body, sent = io.LimitReader(endless{}, 1<<20), http.Header{"X-Sum": {"of the request"}, "X-Other": {"a", "b"}}
				}
				r, _ := http.NewRequestWithContext(inTime(t), method, "http://"+p.listen+"/", body)
				r.Trailer = sent
				a, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, a.Body)
				a.Body.Close()
				if err != nil || body != nil && n != 1<<20 {
					t.Errorf("%s: %d bytes, %v", method, n, err)
				}
				if trailer := <-got; len(sent)+len(trailer) > 0 && !reflect.DeepEqual(trailer, sent) {
					t.Errorf("%s: the backend got %v", method, trailer)
				}
				if want := (http.Header{"X-Sum": {"of the answer"}, "X-Late": {"not announced"}}); !reflect.DeepEqual(a.Trailer, want) {
					t.Errorf("%s: the client got %v", method, a.Trailer)
				}
			}
		})
	}
}

// askedFor is a body that tells whether somebody wanted it.
type askedFor struct {
	io.Reader
	read atomic.Bool
}

func (b *askedFor) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(p)
}

// A client that waits for 100 sends its body when the backend wants it, and never to one
// that refuses it first.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startBefore(t, setting, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var status int
				if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err == nil {
					w.WriteHeader(status)
					return
				}
				text, err := io.ReadAll(r.Body) // It is this that has net/http send 100.
				fmt.Fprintf(w, "%s %v", text, err)
			}))
			transport := &http.Transport{ExpectContinueTimeout: time.Hour}
			t.Cleanup(transport.CloseIdleConnections)
			for _, chunked := range []bool{false, true} {
				for _, c := range []struct {
					path   string
					status int
					sent   bool
				}{{"/", 200, true}, {"/417", 417, false}, {"/413", 413, false}, {"/again", 200, true}} {
					var continued atomic.Bool
					ctx := httptrace.WithClientTrace(inTime(t), &httptrace.ClientTrace{Got100Continue: func() { continued.Store(true) }})
					body := &askedFor{Reader: strings.NewReader("the body")}
					r, _ := http.NewRequestWithContext(ctx, "PUT", "http://"+p.listen+c.path, body)
					r.Header.Set("Expect", "100-continue")
					if !chunked {
						r.ContentLength = int64(len("the body"))
					}
					a, err := transport.RoundTrip(r)
					if err != nil {
						t.Fatalf("%s, chunked %v: %v", c.path, chunked, err)
					}
					text, _ := io.ReadAll(a.Body)
					a.Body.Close()
					if a.StatusCode != c.status || c.sent && string(text) != "the body <nil>" {
						t.Errorf("%s, chunked %v: %d %q", c.path, chunked, a.StatusCode, text)
					}
					if continued.Load() != c.sent || body.read.Load() != c.sent {
						t.Errorf("%s, chunked %v: 100 came: %v, the body was sent: %v", c.path, chunked, continued.Load(), body.read.Load())
					}
				}
			}
		})
	}
}

// Early hints reach the client before the backend has its answer; a client of HTTP/1.0,
// which knows nothing of them, gets none.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			seen := make(chan bool)
			p := startBefore(t, setting, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, link := range []string{"</a.css>; rel=preload", "</b.js>; rel=preload"} {
					w.Header().Set("Link", link)
					w.WriteHeader(http.StatusEarlyHints)
					if r.URL.Path == "/old" {
						continue
					}
					select {
					case <-seen:
					case <-time.After(patience):
						return
					}
				}
				w.Header().Del("Link")
				fmt.Fprint(w, "answer")
			}))
			var links []string
			ctx := httptrace.WithClientTrace(inTime(t), &httptrace.ClientTrace{Got1xxResponse: func(status int, fields textproto.MIMEHeader) error {
				links = append(links, fmt.Sprintf("%d%v", status, fields["Link"]))
				seen <- true
				return nil
			}})
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+p.listen+"/new", nil)
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(a.Body)
			a.Body.Close()
			if want := []string{"103[</a.css>; rel=preload]", "103[</b.js>; rel=preload]"}; !reflect.DeepEqual(links, want) {
				t.Errorf("before the answer %v came", links)
			}
			if a.StatusCode != 200 || string(text) != "answer" || err != nil || a.Header.Get("Link") != "" {
				t.Errorf("%d %q, %v, %v", a.StatusCode, text, a.Header, err)
			}
			c := p.dial()
			io.WriteString(c, "GET /old HTTP/1.0\r\nHost: example\r\n\r\n")
			c.want(t, 200, "answer")
		})
	}
}
