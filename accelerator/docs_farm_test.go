package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// exampleFarm is the farm of an example in the README: real servers in the places
// of its addresses.
type exampleFarm struct {
	t       *testing.T
	front   *process
	servers map[string]*exampleServer // by the last number of its address
}

// exampleServer says its number and what it was asked; /health as it is told.
type exampleServer struct {
	*httptest.Server
	sick atomic.Bool
}

func (s *exampleServer) begin(t *testing.T, address, number string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && s.sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "%s %s", number, r.RequestURI)
	})}}
	s.Start()
	t.Cleanup(s.Close)
}

// ask asks for a path and returns who answered, and what that was asked.
func (f *exampleFarm) ask(client *http.Client, path string) (server, target string) {
	f.t.Helper()
	answer, err := client.Get("http://" + f.front.listen + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		f.t.Fatalf("%s: %d %s, %v", path, answer.StatusCode, text, err)
	}
	server, target, _ = strings.Cut(string(text), " ")
	return server, target
}

// visitor is a browser at an address of its own: all of 127.0.0.0/8 are ours.
func visitor(n int) *http.Client {
	jar, _ := cookiejar.New(nil) // It never fails.
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(n>>8), byte(n))}}
	return &http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}}
}

// exampleFarms are the farms of the README by their titles, and what it says of them.
var exampleFarms = map[string]func(*exampleFarm){
	"One server": func(f *exampleFarm) {
		f.ask(visitor(1), "/a?b")
		server := f.servers["2"]
		address := server.Listener.Addr().String()
		server.Close()
		waits := make(chan error, 1)
		go func() {
			answer, err := visitor(1).Get("http://" + f.front.listen + "/a?b")
			if err == nil {
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", answer.StatusCode)
				}
			}
			waits <- err
		}()
		time.Sleep(500 * time.Millisecond)
		server.begin(f.t, address, "2")
		if err := <-waits; err != nil {
			f.t.Errorf("while the server restarted: %v", err)
		}
	},
	"Three equal ones": func(f *exampleFarm) {
		count := func() map[string]int {
			seen := map[string]int{}
			for range 60 {
				server, _ := f.ask(visitor(1), "/")
				seen[server]++
			}
			return seen
		}
		if seen := count(); len(seen) != 3 {
			f.t.Errorf("of 60 requests: %v", seen)
		}
		f.servers["3"].sick.Store(true)
		f.front.wait("backend is down\" backend=" + f.servers["3"].URL)
		if seen := count(); len(seen) != 2 || seen["3"] != 0 {
			f.t.Errorf("3 is sick: %v", seen)
		}
		f.servers["2"].Close() // No check has seen it yet.
		if seen := count(); seen["4"] != 60 {
			f.t.Errorf("3 is sick and 2 is off: %v", seen)
		}
		f.servers["3"].sick.Store(false)
		f.front.wait("backend is up again\" backend=" + f.servers["3"].URL)
		if seen := count(); seen["3"] == 0 {
			f.t.Errorf("3 is well again: %v", seen)
		}
	},
	"Sessions that live on one server": func(f *exampleFarm) {
		first := map[string]int{}
		for n := range 40 {
			v := visitor(1) // All at one address, as behind one router.
			server, _ := f.ask(v, "/")
			first[server]++
			for range 3 {
				if again, _ := f.ask(v, "/cart"); again != server {
					f.t.Errorf("visitor %d was at %s and comes to %s", n, server, again)
				}
			}
		}
		if len(first) != 2 {
			f.t.Errorf("40 visitors: %v", first)
		}
		v := visitor(1)
		server, _ := f.ask(v, "/")
		f.servers[server].Close()
		other, _ := f.ask(v, "/")
		if again, _ := f.ask(v, "/"); other == server || again != other {
			f.t.Errorf("%s is off: %s, then %s", server, other, again)
		}
	},
	"A new version for one visitor in twenty": func(f *exampleFarm) {
		seen := map[string]int{}
		for n := range 400 {
			v := visitor(256 + n)
			server, _ := f.ask(v, "/")
			seen[server]++
			if again, _ := f.ask(v, "/again"); again != server {
				f.t.Errorf("visitor %d was at %s and comes to %s", n, server, again)
			}
		}
		// 20 are expected. Less than 3 or more than 50 come once in 100,000 runs.
		if seen["3"] < 3 || seen["3"] > 50 {
			f.t.Errorf("of 400 visitors: %v", seen)
		}
	},
	"An API under a path": func(f *exampleFarm) {
		seen := map[string]int{}
		for range 40 {
			server, target := f.ask(visitor(1), "/api/users?id=%31")
			seen[server]++
			if target != "/users?id=%31" {
				f.t.Fatalf("%s was asked for %s", server, target)
			}
		}
		if len(seen) != 2 || seen["2"] != 0 {
			f.t.Errorf("of the API: %v", seen)
		}
		for _, path := range []string{"/", "/users", "/apis?api"} {
			if server, target := f.ask(visitor(1), path); server != "2" || target != path {
				f.t.Errorf("%s: %s was asked for %s", path, server, target)
			}
		}
	},
}

// The farms of the README do what it says, with real servers behind.
func TestExampleFarms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	example := regexp.MustCompile("(?s)\n\\*\\*([^*\n]+)\\.\\*\\* [^`]*(?:`[^`\n]+`[^`]*)*\n\n```jsonc\n(.*?)```")
	for _, m := range example.FindAllStringSubmatch(string(text), -1) {
		found++
		try, ok := exampleFarms[m[1]]
		if !ok {
			t.Errorf("nobody tries the farm %q", m[1])
			continue
		}
		for tier, setting := range tiers {
			t.Run(m[1]+"/"+tier, func(t *testing.T) {
				t.Parallel()
				f := &exampleFarm{t: t, servers: map[string]*exampleServer{}}
				settings := regexp.MustCompile(`10\.0\.0\.(\d+):8000`).ReplaceAllStringFunc(m[2], func(address string) string {
					number := strings.TrimSuffix(strings.TrimPrefix(address, "10.0.0."), ":8000")
					s := &exampleServer{}
					s.begin(t, "127.0.0.1:0", number)
					f.servers[number] = s
					return s.Listener.Addr().String()
				})
				f.front = start(t, "-config", write(t, t.TempDir(), "ramjet.json", strings.Replace(settings, "{", "{"+setting, 1)))
				try(f)
			})
		}
	}
	if found != len(exampleFarms) {
		t.Errorf("%d of %d farms are in the README", found, len(exampleFarms))
	}
}
