package update

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"github.com/gokrazy/gokrazy/ifaddr"
	"golang.org/x/net/netutil"

	"ramjet/appliance/access"
	"ramjet/appliance/listening"
	"ramjet/appliance/unixhttp"
)

// maxConnections bounds what strangers can occupy.
const maxConnections = 32

// Server is the task: the box's port for status, logs and updates.
type Server struct {
	Listen  string                  // TCP address
	Gokrazy string                  // gokrazy's Unix socket
	Access  *access.Access          // who is let in
	Updates *Updater                // makes updates trials; nil: gokrazy makes them as it does
	Keys    []string                // as Updater has them
	Pages   map[string]http.Handler // what else this program answers, by pattern
	Log     *slog.Logger            // nil means slog.Default()
}

// String names the task.
func (s *Server) String() string { return "update" }

// Run serves until ctx ends. That the port is taken is no reason to end: the rest of the box works.
func (s *Server) Run(ctx context.Context) error {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	listener, err := listening.On(ctx, s.Listen, s.Log, "no status page and no updates yet")
	if err != nil {
		return nil // ctx has ended.
	}
	server := &http.Server{
		Handler: s.Access.Require(s.handler()),
		// No limit for a whole request: an image takes its time. Only who has the password gets that far.
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(private{netutil.LimitListener(listener, maxConnections)}); ctx.Err() == nil {
		return err
	}
	return nil
}

// private takes connections to the box's private addresses alone, as gokrazy does: what is said here is not encrypted.
type private struct{ net.Listener }

// Accept implements net.Listener.
func (l private) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if at, ok := conn.LocalAddr().(*net.TCPAddr); ok && ifaddr.IsInPrivateNet(at.IP) {
			return conn, nil
		}
		conn.Close()
	}
}

// handler is the table of what this program answers itself.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, page := range s.Pages {
		mux.Handle(pattern, page)
	}
	mux.HandleFunc("POST /poweroff", s.power)
	for _, path := range []string{"/update/", "/uploadtemp/", "/divert"} { // What is answered here comes before it.
		mux.Handle(path, s.guarded(s.gokrazy()))
	}
	mux.Handle("GET /update/features", s.gokrazy())
	if s.Updates == nil {
		mux.HandleFunc("POST /reboot", s.power)
		mux.Handle("/", s.gokrazy())
		return mux
	}
	s.Updates.register(mux)
	mux.HandleFunc("POST /reboot", s.reboot)
	gokrazy := s.gokrazy()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// gok takes the first answer of a new version for its success.
		if r.URL.Path == "/" && s.Updates.trying.Load() {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "this version is on trial: see /update/status", http.StatusServiceUnavailable)
			return
		}
		gokrazy.ServeHTTP(w, r)
	})
	return mux
}

// reboot starts the trial that waits, or the machine anew.
func (s *Server) reboot(w http.ResponseWriter, r *http.Request) {
	trial, err := s.Updates.Start()
	switch {
	case err != nil:
		s.Updates.answer(w, "reboot", err)
	case trial:
		finish(w, "starting the trial\n")
		go s.Updates.launch()
	default:
		s.power(w, r)
	}
}

// power answers before gokrazy ends all programs, this one first of all.
func (s *Server) power(w http.ResponseWriter, r *http.Request) {
	finish(w, "as you wish\n")
	go s.order(r.URL.RequestURI())
}

// finish is an answer that has left when it returns.
func finish(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Connection", "close")
	io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

// order asks gokrazy for a restart or the end. It ends this program on the way; so no answer may come.
func (s *Server) order(uri string) {
	client := http.Client{Transport: unixhttp.Transport(s.Gokrazy)}
	answer, err := client.Post("http://gokrazy"+uri, "", nil)
	if err != nil {
		s.Log.Info("gokrazy was asked", "for", uri, "err", err)
		return
	}
	answer.Body.Close()
}

// gokrazy has gokrazy's own interface answer.
func (s *Server) gokrazy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "gokrazy"
		},
		Transport:     unixhttp.Transport(s.Gokrazy),
		FlushInterval: -1, // Logs are read as they grow.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "gokrazy does not answer: "+err.Error(), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}
