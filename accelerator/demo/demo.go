// Package demo is what a newcomer sees first: a small static site and a dynamic
// backend to put it in front of.
package demo

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

//go:embed site
var files embed.FS

// WriteSite writes the static site into dir, which exists, world-readable as
// rule 4 wants it.
func WriteSite(dir string) error {
	site, err := fs.Sub(files, "site")
	if err != nil {
		return err
	}
	return fs.WalkDir(site, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := fs.ReadFile(site, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
		return os.Chmod(to, 0o644) // Whatever the umask.
	})
}

//go:embed hello.html
var helloText string

// helloTemplate is parsed when it is needed first: few who start the program want the demonstration.
var helloTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("hello").Parse(helloText)) })

// StartBackend starts the dynamic backend on a free port of loopback and returns
// its URL. stop ends it.
func StartBackend() (url string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: Backend(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	stop = func() {
		_ = server.Shutdown(context.Background())
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			panic(err) // Serve only ever ends like this, but never silently otherwise.
		}
	}
	return "http://" + listener.Addr().String(), stop, nil
}

// Backend is the demonstration's farm: one page that is different each time.
func Backend() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/cgi-bin/hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = helloTemplate().Execute(w, map[string]any{
			"Name": r.FormValue("name"), "Now": time.Now().Format(time.TimeOnly), "Request": r,
		})
	})
	return mux
}
