package update

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// socket serves on a Unix socket.
func socket(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return path
}

func TestProbe(t *testing.T) {
	var home, pid atomic.Int32
	home.Store(200)
	site, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(home.Load())) })}
	go server.Serve(site)
	t.Cleanup(func() { server.Close() })
	probe := func() *Probe {
		return &Probe{
			URL:   "http://" + site.Addr().String() + "/",
			Admin: socket(t, func(http.ResponseWriter, *http.Request) {}),
			Gokrazy: socket(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"Services": [{"Path": "/user/accelerator", "Pid": %d}, {"Path": "/user/appliance", "Pid": 1}]}`, pid.Load())
			}),
		}
	}
	if b := probe().Look(t.Context()); b.Status != 200 {
		t.Errorf("before: %+v", b)
	}
	for _, test := range []struct {
		name         string
		status, then int
		want         string
	}{
		{"errors", 200, 502, "answers 502, and answered 200"},
		{"another page", 200, 404, "answers 404"},
		{"errors, where there was no page", 404, 500, "answers 500"},
		{"as before", 200, 200, ""},
		{"better", 502, 200, ""},
		{"errors as before", 502, 503, ""},
		{"nothing at that port before", 0, 500, ""},
	} {
		home.Store(int32(test.then))
		err := probe().Check(t.Context(), Before{Status: test.status})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	home.Store(200)
	p := probe()
	var last error
	for i := range maxStarts + 1 {
		pid.Store(int32(i + 2))
		last = p.Check(context.Background(), Before{})
	}
	if !sure(last) {
		t.Errorf("started %d times: %v", maxStarts+1, last)
	}
	p = probe()
	p.Admin = filepath.Join(t.TempDir(), "none")
	if err := p.Check(t.Context(), Before{}); err == nil || !strings.Contains(err.Error(), "admin socket") {
		t.Errorf("no admin socket: %v", err)
	}
}

func TestRoutes(t *testing.T) {
	file := func(text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "table")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "Iface\tDestination\tGateway \tFlags\n"
	for _, bad := range []string{"", head, head + "eth0\t0002000A\t00000000\t0001\n", head + "eth0\t00000000\tXX02000A\t0003\n"} {
		if ip, err := defaultRoute(file(bad)); err == nil {
			t.Errorf("%q: %s", bad, ip)
		}
	}
	if ip, err := defaultRoute(file(head + "eth0\t0002000A\t00000000\t0001\neth0\t00000000\t0202000A\t0003\n")); err != nil || ip != "10.0.2.2" {
		t.Errorf("%s, %v", ip, err)
	}
	const neighbours = "IP address       HW type     Flags       HW address\n10.0.2.2  0x1  0x2  52:55:0a:00:02:02\n10.0.2.3  0x1  0x0  00:00:00:00:00:00\n"
	for ip, want := range map[string]bool{"10.0.2.2": true, "10.0.2.3": false, "10.0.2.4": false} {
		if known(file(neighbours), ip) != want {
			t.Errorf("%s: %v", ip, !want)
		}
	}
}
