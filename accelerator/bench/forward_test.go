package main

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/bench/fileset"
	"ramjet/accelerator/bench/load"
)

// The mix is SPECweb99's: 30 % dynamic, 4.8 % POSTs, and answers of the same
// sizes either way.
func TestDynamicMix(t *testing.T) {
	const n = 1 << 16
	requests, order := dynamicMix(n)
	if len(order) != n {
		t.Fatalf("%d requests, want %d", len(order), n)
	}
	size := map[string]int{}
	for _, f := range fileset.Mix() {
		size[f.Path] = f.Size
	}
	var dynamic, posts, mean, dynamicMean float64
	for _, i := range order {
		r := requests[i]
		mean += float64(max(r.answer, size[r.path])) / n
		if r.answer > 0 {
			dynamic++
			dynamicMean += float64(r.answer)
		}
		if r.body > 0 {
			posts++
		}
	}
	dynamicMean /= dynamic
	if math.Abs(dynamic/n-.30) > .01 || math.Abs(posts/n-.048) > .005 {
		t.Errorf("%.3f dynamic, %.3f POSTs, want 0.30 and 0.048", dynamic/n, posts/n)
	}
	if math.Abs(mean-14_700) > 1000 || math.Abs(dynamicMean-14_700) > 1500 {
		t.Errorf("the mean answer has %.0f bytes, the mean dynamic one %.0f, want about 14.7 KB", mean, dynamicMean)
	}
}

// A proxy that does less than the others, or other things, is found out.
func TestCheckForwarded(t *testing.T) {
	backend, err := load.NewBackend()
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	to := &url.URL{Scheme: "http", Host: backend.Address.String()}
	for name, test := range map[string]struct {
		spoil func(*httputil.ProxyRequest)
		want  string
	}{
		"right":     {func(*httputil.ProxyRequest) {}, ""},
		"no for":    {func(r *httputil.ProxyRequest) { r.Out.Header.Del("X-Forwarded-For") }, "X-Forwarded-For"},
		"no host":   {func(r *httputil.ProxyRequest) { r.Out.Header.Del("X-Forwarded-Host") }, "X-Forwarded-Host"},
		"no proto":  {func(r *httputil.ProxyRequest) { r.Out.Header.Del("X-Forwarded-Proto") }, "X-Forwarded-Proto"},
		"its host":  {func(r *httputil.ProxyRequest) { r.Out.Host = "b.example" }, `Host: "b.example"`},
		"closes":    {func(r *httputil.ProxyRequest) { r.Out.Close = true }, `Connection: "close"`},
		"elsewhere": {func(r *httputil.ProxyRequest) { r.Out.URL.Path = "/x" }, "status 400"},
	} {
		t.Run(name, func(t *testing.T) {
			at := serve(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				r.Out.Host = r.In.Host
				r.SetXForwarded()
				test.spoil(r)
			}})
			err := checkForwarded(at)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// So is one that makes a new connection for each request.
func TestCheckKept(t *testing.T) {
	for name, test := range map[string]struct {
		idle int
		want bool
	}{"kept": {64, true}, "not kept": {-1, false}} {
		t.Run(name, func(t *testing.T) {
			backend, err := load.NewBackend()
			if err != nil {
				t.Fatal(err)
			}
			defer backend.Close()
			transport := &http.Transport{MaxIdleConnsPerHost: test.idle}
			defer transport.CloseIdleConnections()
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend.Address.String()})
			proxy.Transport = transport
			at := serve(t, proxy)
			ready, _, err := dynamic(100, 0).check(at, "")
			if err != nil {
				t.Fatal(err)
			}
			r := &running{shape: load.Shape{Address: at, Backend: backend, Requests: []load.Request{ready}, Connections: 4}}
			g, err := load.Open(r.shape)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			made, answers := r.made(), int64(0)
			for answers < 500 {
				n, err := g.Run(t.Context(), 50*time.Millisecond, nil)
				if err != nil {
					t.Fatal(err)
				}
				answers += n
			}
			if err := checkKept(r.made()-made, answers); (err == nil) != test.want {
				t.Errorf("%d connections for %d requests: error %v", r.made()-made, answers, err)
			}
		})
	}
}

// So is one that changes answers, or does not let WebSockets through.
func TestDynamicCheck(t *testing.T) {
	at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "x")
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "no content")
	}))
	for _, r := range []request{dynamic(100, 0), dynamic(10, 10)} {
		if _, _, err := r.check(at, ""); err == nil || !strings.Contains(err.Error(), "a body of 10 bytes that is not") {
			t.Errorf("%s: error %v", r.path, err)
		}
	}
	r := &running{shape: load.Shape{Address: at}}
	if err := r.prepareSocket(request{path: "/cgi-bin/socket", socket: 1}); err == nil || !strings.Contains(err.Error(), "want 101") {
		t.Errorf("WebSocket: error %v", err)
	}
}

func serve(t *testing.T, h http.Handler) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}
