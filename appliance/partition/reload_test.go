package partition

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// safeBuffer is a log that may be read while the task writes it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// waitFor waits until the log has the text, for at most 20 s.
func (s *safeBuffer) waitFor(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not logged: %q\n%s", text, s)
		}
	}
}

func TestReloader(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "accelerator.sock")
	changed := make(chan struct{}, 1)
	log := new(safeBuffer)
	r := &Reloader{
		Socket: socket, Changed: changed,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()

	changed <- struct{}{} // before the accelerator has its socket
	log.waitFor(t, "accelerator not reached")

	var mu sync.Mutex
	var requests []string
	status := http.StatusOK
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, req.Method+" "+req.URL.Path)
		w.WriteHeader(status)
		w.Write([]byte("7 files\nand more"))
	})}
	go server.Serve(listener)
	defer server.Close()
	log.waitFor(t, `msg="accelerator reloaded" answer="7 files"`)

	mu.Lock()
	status = http.StatusUnprocessableEntity
	mu.Unlock()
	changed <- struct{}{}
	log.waitFor(t, "accelerator did not reload")
	if strings.Contains(log.String(), "and more") {
		t.Errorf("logged more than a line:\n%s", log)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(requests, ", "); got != "POST /reload, POST /reload" {
		t.Errorf("requests: %s", got)
	}
}

func TestReloaderGivesUp(t *testing.T) {
	changed := make(chan struct{}, 1)
	log := new(safeBuffer)
	r := &Reloader{
		Socket: filepath.Join(t.TempDir(), "missing"), Changed: changed, Patience: time.Nanosecond,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	changed <- struct{}{}
	log.waitFor(t, "gave up")
	cancel()
	<-ended
	if strings.Contains(log.String(), "level=WARN") {
		t.Errorf("an accelerator that is not there is no news:\n%s", log)
	}
}
