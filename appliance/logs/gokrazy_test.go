package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// supervisor speaks as gokrazy does on its Unix socket: a list of programs, and of each stream the last 100 lines and then
// each as it comes. The story of the recorder has the real one.
type supervisor struct {
	socket   string
	programs []string

	mu     sync.Mutex
	lines  map[string][]string // guarded by mu: by path and stream
	change chan struct{}       // guarded by mu: closed when there is a new line
	total  map[string]int      // guarded by mu
}

func newSupervisor(t *testing.T, programs ...string) *supervisor {
	t.Helper()
	g := &supervisor{socket: filepath.Join(t.TempDir(), "s"), programs: programs, lines: map[string][]string{}, total: map[string]int{}, change: make(chan struct{})}
	listener, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/log", g.log)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		var all []map[string]any
		for _, p := range g.programs {
			all = append(all, map[string]any{"Path": p, "Pid": 1})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Services": all})
	})
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return g
}

// says has a program say lines on its standard error.
func (g *supervisor) says(program string, lines ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := program + " stderr"
	g.lines[key] = append(g.lines[key], lines...)
	g.total[key] += len(lines)
	g.lines[key] = slices.Clone(g.lines[key][max(0, len(g.lines[key])-100):])
	close(g.change)
	g.change = make(chan struct{})
}

func (g *supervisor) log(w http.ResponseWriter, r *http.Request) {
	key := r.FormValue("path") + " " + r.FormValue("stream")
	for sent := 0; ; {
		g.mu.Lock()
		first := g.total[key] - len(g.lines[key]) // The number of the oldest line.
		fresh := slices.Clone(g.lines[key][max(0, sent-first):])
		sent = g.total[key]
		change := g.change
		g.mu.Unlock()
		for _, line := range fresh {
			fmt.Fprintln(w, line)
		}
		if len(fresh) > 0 {
			w.(http.Flusher).Flush() // As gokrazy: no answer without a line.
		}
		select {
		case <-change:
		case <-r.Context().Done():
			return
		}
	}
}

// numbered returns lines with numbers.
func numbered(what string, from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%s %d", what, i))
	}
	return all
}

// keeping runs a keeper, until it is ended.
func keeping(t *testing.T, k *Keeper) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}
