package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// startBefore starts the program before a server of the test, in one tier.
func startBefore(t *testing.T, setting string, h http.Handler) *process {
	t.Helper()
	farm := httptest.NewServer(h)
	t.Cleanup(farm.Close)
	return start(t, "-config", write(t, t.TempDir(), "ramjet.json", `{`+setting+`"backends": [{"url": "`+farm.URL+`"}]}`))
}

// A client library of WebSocket speaks with a server library, messages of all sizes,
// both ways, and their closing handshake.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		for {
			kind, text, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, text) != nil {
				return
			}
		}
	})
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			p := startBefore(t, setting, echo)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, _, err := websocket.Dial(ctx, "ws://"+p.listen+"/chat?room=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			c.SetReadLimit(-1)
			for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
				text := strings.Repeat("x", size)
				if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if kind, got, err := c.Read(ctx); err != nil || kind != websocket.MessageText || string(got) != text {
					t.Fatalf("%d bytes: %v, %d bytes, %v", size, kind, len(got), err)
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	}
}

// git clones from and pushes to a real git http-backend.
func TestGit(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git")
	}
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			git := func(args ...string) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
				defer cancel()
				cmd := exec.CommandContext(ctx, program, append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "NO_PROXY=127.0.0.1")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
			git("init", "-q", "--bare", "-b", "main", "repositories/a.git")
			git("-C", "repositories/a.git", "config", "http.receivepack", "true")
			backend := &cgi.Handler{
				Path: program, Args: []string{"http-backend"},
				Env: []string{"GIT_PROJECT_ROOT=" + filepath.Join(dir, "repositories"), "GIT_HTTP_EXPORT_ALL=1"},
			}
			p := startBefore(t, setting, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body) // The handler of net/http/cgi takes no chunks.
				if err != nil {
					return
				}
				r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
				backend.ServeHTTP(w, r)
			}))
			url := "http://" + p.listen + "/a.git"
			git("clone", "-q", url, "one")
			// More than git's postBuffer, so that it is sent in chunks.
			noise := make([]byte, 3<<20)
			for i, x := 0, uint32(1); i < len(noise); i++ {
				x = x*1664525 + 1013904223
				noise[i] = byte(x >> 24)
			}
			write(t, dir, "one/noise", string(noise))
			git("-C", "one", "checkout", "-q", "-B", "main")
			git("-C", "one", "add", "noise")
			git("-C", "one", "commit", "-q", "-m", "noise")
			git("-C", "one", "push", "-q", "origin", "main")
			git("clone", "-q", url, "two")
			if got, err := os.ReadFile(filepath.Join(dir, "two/noise")); err != nil || string(got) != string(noise) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
}

// resident is the memory of a process, in bytes.
func resident(t *testing.T, p *process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// A gigabyte each way takes no more memory than a page. With a length the loops relay it,
// in chunks an upload is for the complete tier.
func TestGigabyte(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("it moves 6 GB")
	}
	const size = 1 << 30
	relayed := map[string]int{"loops": 2, "complete": 0}
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			dir := t.TempDir()
			p := startBefore(t, `"admin": "`+dir+`/a.sock",`+setting, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				if r.Method == http.MethodPost {
					fmt.Fprintf(w, "%d of %d, %v", n, r.ContentLength, err)
					return
				}
				w.Header().Set("Content-Length", strconv.Itoa(size))
				_, _ = io.Copy(w, io.LimitReader(endless{}, size))
			}))
			client := &http.Client{Timeout: 2 * time.Minute}
			before, most := resident(t, p), 0
			watched := func(r io.Reader) io.Reader { return &watching{r, func() { most = max(most, resident(t, p)) }, 0} }
			a, err := client.Get("http://" + p.listen + "/download")
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, watched(a.Body))
			a.Body.Close()
			if n != size || err != nil {
				t.Errorf("downloaded %d bytes, %v", n, err)
			}
			for _, length := range []int64{size, -1} {
				upload, err := http.NewRequest("POST", "http://"+p.listen+"/upload", watched(io.LimitReader(endless{}, size)))
				if err != nil {
					t.Fatal(err)
				}
				upload.ContentLength = length
				a, err := client.Do(upload)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(a.Body)
				a.Body.Close()
				if string(text) != fmt.Sprintf("%d of %d, <nil>", size, length) {
					t.Errorf("uploaded %s", text)
				}
			}
			if most > before+32<<20 {
				t.Errorf("%d MiB resident, %d before", most>>20, before>>20)
			}
			h := &hooked{p, adminClient(t, dir+"/a.sock")}
			if h.eventually("loop_relayed_total", func(n int) bool { return n >= relayed[tier] }); h.metric("loop_relayed_total") != relayed[tier] {
				t.Errorf("the loops relayed %d, want %d", h.metric("loop_relayed_total"), relayed[tier])
			}
			t.Logf("%d MiB resident, %d before", most>>20, before>>20)
		})
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// watching looks at something each 64 MiB.
type watching struct {
	io.Reader
	look func()
	n    int
}

func (w *watching) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.n += n; w.n > 64<<20 {
		w.n = 0
		w.look()
	}
	return n, err
}
