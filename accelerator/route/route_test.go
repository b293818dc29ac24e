package route

import "testing"

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
		{Host: "*.example.org"}, {Path: "/assets/**.js"}, {Path: "/api/", Methods: []string{"GET"}}, {Path: "/"},
	})
	got := 0
	if n := testing.AllocsPerRun(1000, func() { got = table.Match("POST", "WWW.example.com:8080", Path("/api/users/17?full=yes")) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if got != 3 {
		t.Errorf("route %d", got)
	}
}
