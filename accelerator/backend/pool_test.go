package backend

import (
	"net/url"
	"strings"
	"sync"
	"testing"
)

func mustPool(t testing.TB, addresses ...string) *Pool {
	t.Helper()
	p, err := newPool(addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newPool(addresses ...string) (*Pool, error) {
	var us []*url.URL
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil {
			return nil, err
		}
		us = append(us, u)
	}
	return NewPool(us...)
}

func TestNewPool(t *testing.T) {
	for _, c := range []struct{ addresses, wrong string }{
		{"", "at least one"},
		{"htp://a", `scheme "htp"`},
		{"a:80", `scheme "a"`},
		{"//a", `scheme ""`},
		{"http://", "no host"},
		{"http://:80", "no host"},
		{"http://a/b", "has a path"},
		{"http://a/?", "more than"},
		{"http://a?q", "more than"},
		{"http://a#f", "more than"},
		{"http://u:secret@a", "more than"},
		{"http://a http://b http://a/", "backend 2: http://a is in the pool"},
		{"http://a", ""},
		{"http://a/", ""},
		{"http://a:80 https://a https://[::1]:8443", ""},
	} {
		p, err := newPool(strings.Fields(c.addresses)...)
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%q: %v", c.addresses, err)
		case c.wrong == "" && len(p.Backends()) != len(strings.Fields(c.addresses)):
			t.Errorf("%q: %d backends", c.addresses, len(p.Backends()))
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%q: %v, want %q", c.addresses, err, c.wrong)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%q: the error tells the password: %v", c.addresses, err)
		}
	}
}

func TestNextLeavesOutTheTried(t *testing.T) {
	p := mustPool(t, "http://a", "http://b", "http://c")
	for _, want := range []string{"abc", "bca", "cab", "abc"} {
		var tried []*Backend
		got := ""
		for b := p.Next(); b != nil; b = p.Next(tried...) {
			tried = append(tried, b)
			got += b.URL.Host
		}
		if got != want {
			t.Errorf("one request tried %s, want %s", got, want)
		}
	}
}

func TestNextIsFairToAll(t *testing.T) {
	p := mustPool(t, "http://a", "http://b", "http://c")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				b := p.Next()
				b.Begin()
				b.End()
			}
		})
	}
	wg.Wait()
	for _, b := range p.Backends() {
		if n := b.Requests.Load(); n != 800 {
			t.Errorf("%s got %d of 2400 requests", b.URL, n)
		}
		if n := b.InFlight.Load(); n != 0 {
			t.Errorf("%s has %d in flight", b.URL, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	p := mustPool(b, "http://a", "http://b", "http://c")
	b.ReportAllocs()
	for b.Loop() {
		p.Next()
	}
}
