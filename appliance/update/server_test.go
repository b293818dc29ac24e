package update

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/access"
)

// letIn lets those in who know the password.
func letIn(t *testing.T, password string) *access.Access {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := access.Open(access.Files{Image: file})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// gokrazy is a server on a Unix socket that says what it was asked.
func gokrazy(t *testing.T, asked ...chan string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "g.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, a := range asked {
			a <- r.Method + " " + r.RequestURI
		}
		fmt.Fprintf(w, "%s %s %q %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), body)
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return socket
}

// run starts the task on a free port, and returns where.
func run(t *testing.T, s *Server) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listen, s.Access, s.Log = l.Addr().String(), letIn(t, "secret"), slog.New(slog.DiscardHandler)
	l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("tcp", s.Listen); err == nil {
			conn.Close()
			return "http://" + s.Listen
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// ask makes a request and returns the whole answer.
func ask(t *testing.T, method, url, password, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		request.SetBasicAuth(access.User, password)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// What is gokrazy's gets to it, for those with the password.
func TestProxy(t *testing.T) {
	url := run(t, &Server{Gokrazy: gokrazy(t)})
	gone := run(t, &Server{Gokrazy: filepath.Join(t.TempDir(), "none")})
	for _, test := range []struct {
		name, url, password string
		status              int
		want                string
	}{
		{"nobody", url, "", 401, ""},
		{"a stranger", url, "guess", 401, ""},
		{"no gokrazy", gone, "secret", 502, "does not answer"},
		{"right", url, "secret", 200, `PUT /uploadtemp/x?y=z "" body`},
	} {
		status, text := ask(t, "PUT", test.url+"/uploadtemp/x?y=z", test.password, "body")
		if status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("%s: %d %s", test.name, status, text)
		}
	}
}

// A restart is answered before gokrazy is asked for it, which ends this program.
func TestPower(t *testing.T) {
	asked := make(chan string)
	url := run(t, &Server{Gokrazy: gokrazy(t, asked)})
	for _, uri := range []string{"/reboot?wait_per_signal=1s", "/poweroff"} {
		if status, text := ask(t, "POST", url+uri, "secret", ""); status != 200 {
			t.Errorf("%s: %d %s", uri, status, text)
		}
		if got := <-asked; got != "POST "+uri {
			t.Errorf("gokrazy is asked for %q", got)
		}
	}
}
