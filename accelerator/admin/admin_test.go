package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func newServer(t *testing.T, socket string) *Server {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	return &Server{
		Socket: socket, Metrics: registry, Log: slog.New(slog.DiscardHandler),
		Status: func() any { return map[string]int{"files": 7} },
		Explain: func(url string) (string, error) {
			if url == "bad" {
				return "", errors.New("not a URL")
			}
			return "because " + url, nil
		},
		Reload: func(context.Context) (string, error) { return "", errors.New("ramjet.json:1:2: x") },
	}
}

// run starts a server that is stopped at the end of the test.
func run(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAPI(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "deep", "admin.sock")
	run(t, newServer(t, socket))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	tests := []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 404, ""},
		{"POST", "/status", 405, ""},
		{"GET", "/reload", 405, ""},
		{"GET", "/explain", 400, "explain what?"},
		{"GET", "/explain?url=bad", 400, "not a URL"},
		{"POST", "/reload", 422, "the old state stays: ramjet.json:1:2: x"},
		{"GET", "/explain?url=/a%3Fb", 200, "because /a?b"},
		{"GET", "/status", 200, `"files": 7`},
		{"GET", "/metrics", 200, "go_goroutines"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
	}
	for _, test := range tests {
		r, err := http.NewRequest(test.method, "http://admin"+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.body) {
			t.Errorf("%s %s: %d %q %v", test.method, test.path, response.StatusCode, body, err)
		}
	}
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v %v", info, err)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.sock")
	run(t, newServer(t, taken))
	if err := newServer(t, taken).Listen(); err == nil || !strings.Contains(err.Error(), "another accelerator") {
		t.Errorf("a socket in use: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := newServer(t, file).Listen(); err == nil {
		t.Error("a file was taken for a socket")
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	// A process that was killed leaves its socket behind.
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	run(t, newServer(t, stale))
}
