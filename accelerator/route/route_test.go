package route

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	table := New([]Route{
		{Host: "www.example.com", Path: "/api/", Methods: []string{"POST"}},
		{Host: "*.example.com", Path: "/api/"},
		{Path: "/api"},
		{Path: "/img/*.jpg"},
		{Path: "/**/deep"},
		{Host: "::1"},
		{Host: "all.example.org"},
		{Path: "/read/", Methods: []string{"GET"}},
		{Path: "/", Methods: []string{"PURGE"}},
	})
	for _, tt := range []struct {
		method, host, path string
		want               int
	}{
		{"POST", "www.example.com", "/api/x", 0},
		{"POST", "WWW.Example.COM.:8080", "/api/x", 0},
		{"POST", "www.example.com", "/api", 0},
		{"GET", "www.example.com", "/api/x", 1},
		{"GET", "a.b.example.com", "/api/", 1},
		{"GET", "example.com", "/api/", 2},
		{"GET", "badexample.com", "/api/", 2},
		{"GET", ".example.com", "/api/", 2},
		{"GET", "", "/api", 2},
		{"GET", "x", "/apix", -1},
		{"GET", "x", "/API", -1},
		{"GET", "x", "/ap", -1},
		{"GET", "x", "/img/a.jpg", 3},
		{"GET", "x", "/img/a/b.jpg", -1},
		{"GET", "x", "/a/b/deep", 4},
		{"GET", "[::1]:8080", "/", 5},
		{"GET", "all.example.org:", "*", 6},
		{"GET", "x", "/read/1", 7},
		{"HEAD", "x", "/read/1", 7},
		{"POST", "x", "/read/1", -1},
		{"get", "x", "/read/1", -1},
		{"PURGE", "x", "/", 8},
		{"PURGE", "x", "//", 8},
		{"PURGE", "x", "*", -1},
		{"PURGE", "x", "", -1},
	} {
		if got := table.Match(tt.method, tt.host, tt.path); got != tt.want {
			t.Errorf("%s %q %q takes route %d, want %d", tt.method, tt.host, tt.path, got, tt.want)
		}
	}
	for i, want := range []string{"method", "", "", "path", "path", "host"} {
		if got := table.Why(i, "GET", "www.example.com", "/api/x"); got != want {
			t.Errorf("route %d: %q, want %q", i, got, want)
		}
	}
	// Many hosts, with routes for all of them between.
	var many []Route
	for i := range 100 {
		many = append(many, Route{Host: fmt.Sprintf("h%d.example.com", i), Path: "/a"}, Route{Host: "*.example.com", Path: fmt.Sprintf("/p%d", i)})
	}
	table = New(append(many, Route{Path: "/z"}))
	for _, tt := range []struct {
		host, path string
		want       int
	}{
		{"H7.Example.com:80", "/a", 14}, {"h7.example.com", "/p3", 7}, {"h7.example.com", "/z", 200}, {"h100.example.com", "/a", -1},
		{"h100.example.com", "/p99", 199}, {"x", "/p99", -1}, {"x", "/z", 200}, {strings.Repeat("x", 300), "/z", 200}, {"", "/z", 200},
		{strings.Repeat("x", 300) + ".example.com", "/p1", 3},
	} {
		if got := table.Match("GET", tt.host, tt.path); got != tt.want {
			t.Errorf("%q %q takes route %d, want %d", tt.host, tt.path, got, tt.want)
		}
	}
	if got := New(nil).Match("GET", "x", "/"); got != -1 {
		t.Errorf("no route at all: %d", got)
	}
}

func TestPath(t *testing.T) {
	for target, want := range map[string]string{
		"/":                    "/",
		"*":                    "*",
		"":                     "",
		"/a/b?c=/../d":         "/a/b",
		"/%61pi/x":             "/api/x",
		"/api%2Fx":             "/api%2Fx",
		"/a%00b%zz%4":          "/a%00b%zz%4",
		"/%2561":               "/%61",
		"/x/../api/y":          "/api/y",
		"/x/%2e%2E/api/y":      "/api/y",
		"/x/.%2e/./api/%2e":    "/api/",
		"/../../a/..":          "/",
		"/a//../b":             "/a/b",
		"/...":                 "/...",
		"/.well-known/x":       "/.well-known/x",
		"/a/..b/.c/%2f":        "/a/..b/.c/%2f",
		"//a":                  "//a",
		"/caf%C3%A9?x":         "/café",
		"/a/%2e%2e%2fb":        "/a/..%2fb",
		"/a/b/..;jsessionid=1": "/a/b/..;jsessionid=1",
	} {
		if got := Path(target); got != want {
			t.Errorf("the path of %q is %q, want %q", target, got, want)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	table := New([]Route{
		{Host: "www.example.com", Path: "/none"}, {Host: "*.example.org"}, {Path: "/assets/**.js"}, {Path: "/api/", Methods: []string{"GET"}}, {Path: "/"},
	})
	got := 0
	if n := testing.AllocsPerRun(1000, func() { got = table.Match("POST", "WWW.example.com:8080", Path("/api/users/17?full=yes")) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if got != 4 {
		t.Errorf("route %d", got)
	}
}

func BenchmarkPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if Path("/api/users/17?full=yes") == "" {
			b.Fatal("no path")
		}
	}
}

// BenchmarkMatch is a request that takes the last of so many routes.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		routes := make([]Route, n)
		for i := range routes {
			routes[i] = Route{Host: fmt.Sprintf("host%d.example.com", i), Path: "/api/"}
		}
		table, host := New(routes), routes[n-1].Host
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if table.Match("GET", host, Path("/api/users/17?full=yes")) != n-1 {
					b.Fatal("another route")
				}
			}
		})
	}
}

// Whatever the request: the route that is found is the first that nothing keeps it from.
func FuzzMatch(f *testing.F) {
	table := New([]Route{
		{Host: "www.example.com", Path: "/api/", Methods: []string{"POST"}}, {Host: "*.example.com", Path: "/a?i/**"}, {Host: "a.example.com"},
		{Host: "::1"}, {Path: "/api"}, {Host: "*.org"}, {Path: "/", Methods: []string{"GET"}},
	})
	f.Add("GET", "WWW.example.com:80", "/api/x")
	f.Add("POST", "[::1]:8080", "/%61pi/../api")
	f.Add("PUT", "a.example.com.", "*")
	f.Fuzz(func(t *testing.T, method, host, target string) {
		path := Path(target)
		want := -1
		for i := range table.rows {
			if table.Why(i, method, host, path) == "" {
				want = i
				break
			}
		}
		if got := table.Match(method, host, path); got != want {
			t.Errorf("%q %q %q: route %d, want %d", method, host, target, got, want)
		}
	})
}
