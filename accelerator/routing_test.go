package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// named is a server of a farm that says its name and what it was asked.
func named(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, name+" "+r.RequestURI)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Pools are each their own: their states, their health, what is counted. A backend
// may be in two. A reload keeps what is known of those that stay, in their pool.
func TestPools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	web, api, dead := named(t, "web"), named(t, "api"), "http://"+deadAddress(t)
	settings := func(pools string) string {
		return `{"admin": "front.sock", "health": {"check": "off"}, "backends": [{"url": "` + web + `"}], "routes": [
			{"path": "/api/", "pool": "api", "strip_prefix": "/api"}, {"path": "/both/", "pool": "both"},
		], "pools": {` + pools + `}}`
	}
	apiPool := `"api": {"backends": [{"url": "` + api + `"}, {"url": "` + dead + `"}], "health": {"check": "tcp", "interval": "100ms", "fall": 1, "rise": 1}}`
	file := write(t, dir, "front.json", settings(apiPool+`, "both": {"backends": [{"url": "`+web+`"}, {"url": "`+api+`"}], "forward": {"balance": "round_robin"}}`))
	front := start(t, "-config", file)
	ask := adminClient(t, filepath.Join(dir, "front.sock"))
	front.wait("msg=\"backend is down\" pool=api backend=" + dead)

	front.wantBody("/x", "web /x")
	for range 3 {
		front.wantBody("/api/x?y", "api /x?y")
	}
	seen := map[string]int{}
	for range 4 {
		a, err := front.get("/both/x")
		if err != nil {
			t.Fatal(err)
		}
		seen[string(a.body)]++
	}
	if seen["web /both/x"] != 2 || seen["api /both/x"] != 2 {
		t.Errorf("the pool of both: %v", seen)
	}

	// What is drained in one pool is not in another.
	if code, text := ask("PATCH", "/backends", `{"both": {"`+web+`": "drain"}}`); code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	front.wantBody("/x", "web /x")
	front.wantBody("/both/x", "api /both/x")
	front.wantBody("/both/x", "api /both/x")

	rows := func() map[string]backendStatus {
		t.Helper()
		var now status
		_, text := ask("GET", "/status")
		if err := json.Unmarshal([]byte(text), &now); err != nil {
			t.Fatal(err)
		}
		all := map[string]backendStatus{}
		for _, b := range now.Backends {
			all[b.Pool+" "+b.URL] = b
		}
		return all
	}
	for range 2 { // Again after a reload.
		now := rows()
		for name, want := range map[string]backendStatus{
			"default " + web: {Requests: 2, State: "ready", Health: "unchecked"}, "both " + web: {Requests: 2, State: "drain", Health: "unchecked"},
			"both " + api: {Requests: 4, State: "ready", Health: "unchecked"}, "api " + api: {Requests: 3, State: "ready", Health: "up"}, "api " + dead: {State: "ready", Health: "down"},
		} {
			got := now[name]
			if got.Requests != want.Requests || got.State != want.State || got.Health != want.Health || len(now) != 5 {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
		_, text := ask("GET", "/metrics")
		for _, line := range []string{
			`ramjet_forward_events_total{event="ok",pool="default"} 2`, `ramjet_forward_events_total{event="ok",pool="api"} 3`,
			`ramjet_backend_requests_total{backend="` + api + `",pool="both"} 4`, `ramjet_backend_up{backend="` + dead + `",pool="api"} 0`,
		} {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("no line %s in\n%s", line, text)
			}
		}
		if code, text := ask("POST", "/reload"); code != http.StatusOK || !strings.Contains(text, "5 backends") {
			t.Fatalf("%d: %s", code, text)
		}
	}

	// A pool that goes takes its routes and its checks with it; one that comes is checked.
	write(t, dir, "front.json", `{"admin": "front.sock", "pools": {"new": {"backends": [{"url": "`+dead+`"}], "health": {"interval": "100ms", "fall": 1}}},
		"routes": [{"path": "/new/", "pool": "new"}]}`)
	if code, text := ask("POST", "/reload"); code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	front.wait("msg=\"backend is down\" pool=new backend=" + dead)
	if len(rows()) != 1 {
		t.Errorf("backends: %v", rows())
	}
	for path, want := range map[string]int{"/x": 404, "/api/x": 404, "/new/x": 502} {
		if a, err := front.get(path); err != nil || a.status != want {
			t.Errorf("%s: %v, %v", path, a, err)
		}
	}
	// A file that is missing is a mistake in each pool.
	write(t, dir, "front.json", settings(`"api": {"backends": [{"url": "`+api+`"}], "forward": {"tls": {"ca": "none.pem"}}}, "both": {"backends": [{"url": "`+api+`"}]}`))
	if code, text := ask("POST", "/reload"); code != http.StatusUnprocessableEntity || !strings.Contains(text, "pools.api.forward.tls.ca: open ") {
		t.Errorf("%d: %s", code, text)
	}
}

// An explanation says which route and why, which pool and who of it, and what would
// be sent; and nothing is.
func TestExplainRoutes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	defer asked.Close()
	file := write(t, dir, "r.json", `{
		"backends": [{"url": "`+asked.URL+`"}], "forward": {"sticky_cookie": "s"}, "health": {"check": "off"},
		"routes": [
			{"host": "*.example.org"}, {"path": "/api/", "methods": ["POST", "PUT"], "pool": "api"},
			{"host": "www.example.com", "path": "/api/", "pool": "api", "strip_prefix": "/api", "replace_prefix": "/v2",
				"request_header": {"set": {"X-Zone": "a"}, "remove": ["Cookie"]}, "response_header": {"remove": ["Server"]}},
			{"path": "/never/"},
		],
		"pools": {"idle": {"backends": [{"url": "http://127.0.0.1:3"}]}, "api": {"backends": [{"url": "http://127.0.0.1:1", "weight": 9}, {"url": "http://127.0.0.1:2"}], "forward": {"balance": "hash", "hash_on": "cookie:user"}}},
	}`)
	stdout, stderr, code := output(t, "-config", file, "-explain", "http://www.example.com/%61pi/users?a=%62")
	const want = `
  route 0  host *.example.org: not this host
  route 1  path /api/, POST or PUT: not this method
  route 2  host www.example.com, path /api/: matches
  pool     api, always the same one for the same cookie user, or the one that the cookie s_api names
  backend  http://127.0.0.1:1, weight 9: gets 90% of such
  backend  http://127.0.0.1:2, weight 1: gets 10% of such
  request  GET /v2/users?a=%62 HTTP/1.1
  request  Host: www.example.com
  request  + Via: 1.1 ramjet
  request  + X-Forwarded-For: <client>
  request  + X-Forwarded-Host: www.example.com
  request  + X-Forwarded-Proto: http
  request  + X-Zone: a
  request  - the fields of the connection, and what a client that is not trusted says of whom it forwards for
  request  - Cookie
  answer   - Server

forwarded: `
	if code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("exit status %d\n%s%s\nwant in it\n%s", code, stdout, stderr, want)
	}
	stdout, _, _ = output(t, "-config", file, "-explain", "/none")
	for _, line := range []string{"\n  route 3  path /never/: not this path\n  pool     default, the less busy one of two at random, or the one that the cookie s names\n", "\n  request  Host: that of the backend's URL\n"} {
		if !strings.Contains(stdout, line) {
			t.Errorf("no %q in\n%s", line, stdout)
		}
	}
	stdout, _, _ = output(t, "-config", file, "-check")
	for _, line := range []string{"backend        http://127.0.0.1:1, weight 9, pool api\n", "route          2: host www.example.com, path /api/, to api\n", "note           no route leads to the pool idle\n"} {
		if !strings.Contains(stdout, line) {
			t.Errorf("no %q in\n%s", line, stdout)
		}
	}
	alone := write(t, dir, "alone.json", `{"routes": [{"path": "/api/", "pool": "api"}], "pools": {"api": {"backends": [{"url": "`+asked.URL+`"}]}}}`)
	stdout, _, _ = output(t, "-config", alone, "-explain", "/none")
	if !strings.Contains(stdout, "\n  pool     none: no route matches, and there are no top-level backends\n\nanswered 404 Not Found: ") {
		t.Errorf("without a default pool:\n%s", stdout)
	}
}

// How much a client may ask is counted for each client, wherever it is seen to come
// from, and over reloads.
func TestPerClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	arrived, leave := make(chan bool), make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-leave
	}))
	defer slow.Close()
	front := start(t, "-config", write(t, dir, "front.json", `{
		"admin": "front.sock", "backends": [{"url": "`+named(t, "web")+`"}], "forward": {"trusted": ["127.0.0.9"]},
		"pools": {"slow": {"backends": [{"url": "`+slow.URL+`"}], "health": {"check": "off"}}},
		"routes": [
			{"path": "/slow", "pool": "slow", "per_client": {"in_flight": 1}},
			{"path": "/rate", "per_client": {"rate": "3/h", "ipv4_prefix": 24}},
		],
	}`))
	get := func(client int, path, forwardedFor string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+front.listen+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if forwardedFor != "" {
			r.Header.Set("X-Forwarded-For", forwardedFor)
		}
		answer, err := visitor(client).Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		answer.Body.Close()
		if (answer.StatusCode == http.StatusTooManyRequests) != (answer.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %v", path, answer)
		}
		return answer.StatusCode
	}
	want := func(want, client int, path, forwardedFor string) {
		t.Helper()
		if got := get(client, path, forwardedFor); got != want {
			t.Errorf("client %d, for %q, asked for %s: %d, want %d", client, forwardedFor, path, got, want)
		}
	}

	ended := make(chan int)
	go func() { ended <- get(1, "/slow", "") }()
	<-arrived
	want(429, 1, "/slow", "")
	go func() { ended <- get(2, "/slow", "") }()
	<-arrived
	close(leave)
	for range 2 {
		if status := <-ended; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	go func() { <-arrived }()
	want(200, 1, "/slow", "")

	want(200, 1, "/rate", "")
	want(200, 2, "/rate", "")               // Of the same /24.
	want(200, 3, "/rate/x", "198.51.100.7") // Which anybody can say.
	want(429, 4, "/rate", "")
	want(200, 300, "/rate", "")           // 127.0.1.44, another.
	want(200, 9, "/rate", "198.51.100.1") // A proxy that is trusted: its clients count.
	want(200, 9, "/rate", "198.51.100.2")
	want(200, 9, "/rate", "8.8.8.8, 198.51.100.3")
	want(429, 9, "/rate", "7.7.7.7, 198.51.100.4")
	want(200, 9, "/rate", "203.0.113.1")
	want(200, 4, "/other", "")
	ask := adminClient(t, filepath.Join(dir, "front.sock"))
	if code, text := ask("POST", "/reload"); code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	want(429, 4, "/rate", "")
	_, text := ask("GET", "/metrics")
	for _, line := range []string{`ramjet_forward_events_total{event="limited",pool="default"} 3`, `ramjet_forward_events_total{event="limited",pool="slow"} 1`, `ramjet_clients_evicted_total 0`} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	_, text = ask("GET", "/explain?url=/rate")
	if line := "\n  limit    each client: 3 requests in 1h, 3 of them at once; a client is an IPv4 /24 or an IPv6 /64\n"; !strings.Contains(text, line) {
		t.Errorf("no %q in\n%s", line, text)
	}
}
