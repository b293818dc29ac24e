package control

import (
	"context"
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

// run starts the task on a free port, and returns where.
func run(t *testing.T, socket string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	well := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "well") })
	s := &Server{Listen: l.Addr().String(), Socket: socket, Health: well, Access: letIn(t, "secret"), Log: slog.New(slog.DiscardHandler)}
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
	return s.Listen
}

// accelerator is a server on a Unix socket that says what it was asked.
func accelerator(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "a.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("ETag", `"1"`)
		io.WriteString(w, strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("If-Match"), r.Header.Get("Authorization"), string(body)}, " "))
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return socket
}

func TestControl(t *testing.T) {
	socket := accelerator(t)
	none := filepath.Join(t.TempDir(), "none.sock")
	for _, test := range []struct {
		name           string
		socket         string
		user, password string
		header         map[string]string
		status         int
		want           string
	}{
		{"nobody", socket, "", "", nil, 401, "the name is gokrazy"},
		{"wrong password", socket, access.User, "secret\n", nil, 401, ""},
		{"wrong name", socket, "root", "secret", nil, 401, ""},
		{"a page of another site", socket, access.User, "secret", map[string]string{"Origin": "http://evil.example"}, 403, ""},
		{"no accelerator", none, access.User, "secret", nil, 502, "does not answer"},
		{"right", socket, access.User, "secret", nil, 200, `PATCH /farm?save=true "0"  {}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := run(t, test.socket)
			var answer *http.Response
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				request, err := http.NewRequest("PATCH", "http://"+address+"/farm?save=true", strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("If-Match", `"0"`)
				for name, value := range test.header {
					request.Header.Set(name, value)
				}
				if test.user != "" {
					request.SetBasicAuth(test.user, test.password)
				}
				if answer, err = http.DefaultClient.Do(request); err == nil {
					break
				} else if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != test.status || !strings.Contains(string(text), test.want) {
				t.Errorf("%d %s, %v", answer.StatusCode, text, err)
			}
			if asked := answer.Header.Get("WWW-Authenticate") != ""; asked != (test.status == 401) {
				t.Errorf("it asks for a password: %v", asked)
			}
		})
	}
}

// A port that another program has is taken when that ends; meanwhile the task lives.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{Listen: l.Addr().String(), Access: letIn(t, "secret"), Log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case err := <-ended:
		t.Errorf("it ended: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	l.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get("http://" + s.Listen + "/"); err == nil {
			answer.Body.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The box itself says how it is, to who has the password.
func TestHealth(t *testing.T) {
	address := run(t, filepath.Join(t.TempDir(), "none.sock"))
	for _, test := range []struct{ password, want string }{{"secret", "well"}, {"guess", "the name is"}} {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			request, err := http.NewRequest("GET", "http://"+address+"/health", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.SetBasicAuth(access.User, test.password)
			answer, err := http.DefaultClient.Do(request)
			if err != nil && time.Now().Before(deadline) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || !strings.HasPrefix(string(text), test.want) {
				t.Errorf("with %q: %s, %v", test.password, text, err)
			}
			break
		}
	}
}
