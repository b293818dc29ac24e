// Package control lets whoever has the box's password reach the accelerator's admin socket from the network: there is no
// shell on the box to do it from. The password is the one of gokrazy's web interface and of updates over the air, and so
// is what it protects: who may replace the programs may steer them.
package control

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// User is the name that goes with the password, as in gokrazy's web interface.
const User = "gokrazy"

// Passwords are the files in which gokrazy has the password. Without the first one the box was built to have none; the
// second one, if it is there, counts instead.
var Passwords = [2]string{"/etc/gokr-pw.txt", "/perm/gokr-pw.txt"}

// maxConnections bounds what strangers can occupy.
const maxConnections = 32

// Server is the task.
type Server struct {
	Listen    string       // TCP address
	Socket    string       // of the accelerator
	Passwords [2]string    // see above
	Log       *slog.Logger // nil means slog.Default()

	penalty time.Duration // for a wrong password
}

// String names the task.
func (s *Server) String() string { return "control" }

// Run serves until ctx ends. That there is no password, or no port, is no reason to end: the rest of the box works.
func (s *Server) Run(ctx context.Context) error {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	password, err := s.password()
	if err != nil {
		s.Log.Warn("the admin socket cannot be reached from the network: there is no password", "err", err)
		<-ctx.Done()
		return nil
	}
	listener, err := s.listen(ctx)
	if err != nil {
		return nil // ctx has ended.
	}
	if s.penalty == 0 {
		s.penalty = time.Second
	}
	server := &http.Server{
		Handler:           s.handler(password),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(netutil.LimitListener(listener, maxConnections)); ctx.Err() == nil {
		return err
	}
	return nil
}

// listen takes the port as soon as it can be had.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	for said := false; ; said = true {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
		if err == nil {
			return listener, nil
		}
		if !said {
			s.Log.Error("the admin socket cannot be reached from the network, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Second):
		}
	}
}

// password reads it as gokrazy does.
func (s *Server) password() (string, error) {
	text, err := os.ReadFile(s.Passwords[0])
	if err != nil {
		return "", err
	}
	if own, err := os.ReadFile(s.Passwords[1]); err == nil {
		text = own
	}
	password := strings.TrimSpace(string(text))
	if password == "" {
		return "", fmt.Errorf("%s is empty", s.Passwords[0])
	}
	return password, nil
}

// handler asks for the password, and then has the accelerator answer.
func (s *Server) handler(password string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "accelerator"
			r.Out.Header.Del("Authorization")
		},
		Transport: &http.Transport{
			DisableKeepAlives: true, // The accelerator may be another one by then.
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", s.Socket)
			},
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the accelerator does not answer: "+err.Error(), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	want := sha256.Sum256([]byte(User + ":" + password))
	// A page of another site could use the password that a browser remembers.
	return new(http.CrossOriginProtection).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, given, ok := r.BasicAuth()
		got := sha256.Sum256([]byte(user + ":" + given))
		if !ok || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			if ok { // A guess: at most maxConnections of them in that time.
				select {
				case <-r.Context().Done():
				case <-time.After(s.penalty):
				}
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="ramjet"`)
			http.Error(w, "the name is "+User+", the password that of updates", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}
