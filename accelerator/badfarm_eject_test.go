package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// A backend that fails is left out from then on and the other one gets all of it, and one that does not
// stays in. The other one is never blamed.
func TestBadBackendIsEjected(t *testing.T) {
	t.Parallel()
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") }))
	t.Cleanup(well.Close)
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			bad := startBadBackend(t, badCases)
			var pools, routes []string // One for each case, so that none is in the way of another.
			for _, c := range badCases {
				pools = append(pools, fmt.Sprintf(`%q: {"backends": [{"url": "http://%s"}, {"url": %q}]}`, c.name, bad.address, well.URL))
				routes = append(routes, fmt.Sprintf(`{"path": "/%s", "pool": %q}`, c.name, c.name))
			}
			p := startHooked(t, t.TempDir(), setting+`
				"backends": [{"url": "`+well.URL+`"}],
				"pools": {`+strings.Join(pools, ", ")+`}, "routes": [`+strings.Join(routes, ", ")+`],
				"forward": {"balance": "round_robin", "first_byte_timeout": "`+badFirstByte.String()+`", "idle_timeout": "`+badIdle.String()+`"},
				"ejection": {"failures": 1, "time": "1h"},
				"health": {"check": "off"}`)
			for _, c := range badCases {
				if c.times == 0 { // The others are about a connection that was used before.
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						(&ejectRunner{t, p, bad, c}).run()
					})
				}
			}
		})
	}
}

// ejectRunner runs one case.
type ejectRunner struct {
	t   *testing.T
	p   *hooked
	bad *badBackend
	c   badCase
}

func (r *ejectRunner) run() {
	t, c := r.t, r.c
	for range 2 { // One is for the bad one.
		r.request()
	}
	if n := len(r.bad.requests(c.name)); n != 1 {
		t.Fatalf("it got %d of two requests", n)
	}
	bad, other := r.states()
	for deadline := time.Now().Add(patience / 4); time.Now().Before(deadline) && (bad.InFlight > 0 || c.failed && bad.Failures == 0); {
		time.Sleep(10 * time.Millisecond)
		bad, other = r.states()
	}
	out := bad.EjectedUntil != nil
	if bad.InFlight != 0 || out != (bad.Failures == 1) || out != (bad.Ejections == 1) || c.failed && !out || c.event == "ok" && out {
		t.Errorf("the bad one: %+v", bad)
	}
	if other.EjectedUntil != nil || other.Failures != 0 || other.Ejections != 0 {
		t.Errorf("the other one: %+v", other)
	}
	for range 4 {
		if got := r.request(); out && got != "well" {
			t.Errorf("left out, and the answer is %s", got)
		}
	}
	if n := len(r.bad.requests(c.name)); out && n != 1 || !out && n < 2 {
		t.Errorf("left out: %v, and it got %d of six requests", out, n)
	}
}

// request asks for what the case is about, and says what came: "well" is of the other one.
func (r *ejectRunner) request() string {
	r.t.Helper()
	method := "GET"
	if r.c.method != "" {
		method = r.c.method
	}
	conn, err := net.Dial("tcp", r.p.listen)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s /%s HTTP/1.1\r\nHost: example\r\n\r\n", method, r.c.name)
	in := bufio.NewReader(conn)
	a, err := readAnswer(in, method)
	for err == nil && a.status/100 == 1 {
		a, err = readAnswer(in, method)
	}
	got := whole
	switch {
	case err != nil:
		got = broken
	case a.status == 200 && (string(a.body) == "well" || method == "HEAD" && slices.Equal(a.values("Content-Length"), []string{"4"})):
		return "well"
	case a.status == 502:
		got = badGateway
	case a.status == 504:
		got = timedOut
	}
	if !slices.Contains(strings.Split(r.c.want, " or "), got) {
		r.t.Errorf("%s was expected, and %s came", r.c.want, got)
	}
	return got
}

// states returns what the program says of the bad one and of the other.
func (r *ejectRunner) states() (bad, other backendStatus) {
	r.t.Helper()
	var now status
	_, text := r.p.ask("GET", "/status")
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		r.t.Fatal(err)
	}
	for _, b := range now.Backends {
		switch {
		case b.Pool != r.c.name:
		case b.URL == "http://"+r.bad.address:
			bad = b
		default:
			other = b
		}
	}
	if bad.URL == "" || other.URL == "" {
		r.t.Fatal(text)
	}
	return bad, other
}
