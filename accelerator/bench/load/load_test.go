package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server answers /1000 with that many bytes, and counts requests.
func server(t *testing.T) (netip.AddrPort, *atomic.Int64) {
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		var size int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &size); err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(make([]byte, size))
	}))
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String()), &requests
}

func probe(t *testing.T, to netip.AddrPort, text string) Request {
	t.Helper()
	r, answer, err := Probe(to, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusOK {
		t.Fatalf("%q: status %d", text, answer.Status)
	}
	return r
}

func get(size int) string { return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", size) }

func TestShapes(t *testing.T) {
	small, large, huge := get(1000), get(100_000), get(1_000_000)
	closing := "GET /1000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for name, test := range map[string]struct {
		requests []string
		shape    Shape
	}{
		"one":       {[]string{small}, Shape{Connections: 1}},
		"many":      {[]string{small}, Shape{Connections: 64}},
		"large":     {[]string{large}, Shape{Connections: 4}},
		"huge":      {[]string{huge}, Shape{Connections: 4}},
		"mixed":     {[]string{small, large, huge}, Shape{Order: []uint16{0, 0, 1, 0, 2}, Connections: 8}},
		"pipelined": {[]string{small, large}, Shape{Order: []uint16{0, 1, 0}, Connections: 4, Depth: 16}},
		"close":     {[]string{closing}, Shape{Connections: 16, Close: true}},
		"open":      {[]string{small}, Shape{Connections: 16, Rate: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			to, requests := server(t)
			shape := test.shape
			shape.Address = to
			for _, text := range test.requests {
				shape.Requests = append(shape.Requests, probe(t, to, text))
			}
			before := requests.Load()
			g, err := Open(shape)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			latency := NewLatency()
			var answers int64
			for range 2 { // What is in flight at the end of a run counts in the next one.
				n, err := g.Run(t.Context(), 100*time.Millisecond, latency)
				if err != nil {
					t.Fatal(err)
				}
				answers += n
			}
			if answers == 0 || answers != latency.TotalCount() {
				t.Errorf("%d answers, %d latencies", answers, latency.TotalCount())
			}
			served := requests.Load() - before
			if inFlight := int64(shape.Connections * max(shape.Depth, 1)); answers > served || answers < served-inFlight {
				t.Errorf("%d answers, but %d requests were served, with at most %d in flight", answers, served, inFlight)
			}
			if shape.Rate > 0 && (answers < 10 || answers > 200) {
				t.Errorf("%d answers in 0.2 s at %v per second", answers, shape.Rate)
			}
		})
	}
}

// Each of these servers is wrong in a way that a benchmark must not overlook.
func TestWrongAnswers(t *testing.T) {
	good := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
	for name, test := range map[string]struct{ later, want string }{
		"status":  {"HTTP/1.1 500 NO\r\nContent-Length: 2\r\n\r\nab", `began with "HTTP/1.1 500`},
		"longer":  {good + "c", "nobody had asked for"},
		"closed":  {"", "closed a connection"},
		"shorter": {good[:len(good)-1], "closed a connection"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go answerInTurn(listener, good, test.later)
			to := netip.MustParseAddrPort(listener.Addr().String())
			r, _, err := Probe(to, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			g, err := Open(Shape{Address: to, Requests: []Request{r}, Connections: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			_, err = g.Run(t.Context(), time.Second, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// answerInTurn answers the first request well, closes, and gives the second
// connection the later answer, once.
func answerInTurn(listener net.Listener, answers ...string) {
	for _, answer := range answers {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		buffer := make([]byte, 1000)
		c.Read(buffer)
		c.Write([]byte(answer))
		time.Sleep(10 * time.Millisecond)
		c.Close()
	}
}

func TestInterrupt(t *testing.T) {
	to, _ := server(t)
	g, err := Open(Shape{Address: to, Requests: []Request{probe(t, to, get(100))}, Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := g.Run(ctx, time.Minute, nil); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("error %v after %v", err, time.Since(began))
	}
}
