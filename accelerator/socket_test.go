package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// socketClient speaks HTTP over a Unix socket.
func socketClient(socket string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

// adminClient speaks to the admin socket.
func adminClient(t *testing.T, socket string) func(method, path string, body ...string) (int, string) {
	t.Helper()
	client := socketClient(socket)
	return func(method, path string, body ...string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://admin"+path, strings.NewReader(strings.Join(body, "")))
		if err != nil {
			t.Fatal(err)
		}
		if method == "PATCH" {
			request.Header.Set("If-Match", "*") // Nobody else changes anything.
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}

func TestAdminSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "a.sock")
	file := write(t, dir, "ramjet.json", `{"content": {"root": "site"}, "admin": "a.sock", "backends": [{"url": "http://`+deadAddress(t)+`"}]}`)
	write(t, dir, "site/index.html", "home")
	p := start(t, "-config", file)
	ask := adminClient(t, socket)
	p.wantBody("/", "home")
	if a, err := p.get("/none"); err != nil || a.status != http.StatusBadGateway {
		t.Errorf("%v, %v", a, err)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", info, err)
	}

	var now status
	code, text := ask("GET", "/status")
	if err := json.Unmarshal([]byte(text), &now); code != http.StatusOK || err != nil {
		t.Fatalf("status: %d, %v\n%s", code, err, text)
	}
	if !now.Ready || now.Listen != p.listen || now.Config != file || now.Content.Files != 1 || len(now.Backends) != 1 || now.Backends[0].Failures != 1 {
		t.Errorf("status: %s", text)
	}

	code, text = ask("GET", "/metrics")
	for _, line := range []string{
		`ramjet_requests_total{outcome="static"} 1`, `ramjet_requests_total{outcome="forwarded"} 1`,
		`ramjet_not_static_total{rule="3"} 1`, `ramjet_forward_events_total{event="no_connection",pool="default"} 1`, `ramjet_content_files 1`,
	} {
		if code != http.StatusOK || !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("metrics: %d, no line %s in\n%s", code, line, text)
		}
	}

	for path, want := range map[string]string{
		"/index.html": "\nstatic, identity, from memory\n", "/cgi-bin/x": "rule 6, the path contains cgi-bin\n", "/?a": "\nforwarded: rule 1, the URL has a query\n",
	} {
		if code, text := ask("GET", "/explain?url="+url.QueryEscape(path)); code != http.StatusOK || !strings.HasSuffix(text, want) {
			t.Errorf("explain %s: %d\n%s", path, code, text)
		}
	}
	for _, path := range []string{"/explain", "/explain?url=nonsense"} {
		if code, text := ask("GET", path); code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, _ := ask("GET", "/debug/pprof/"); code != http.StatusOK {
		t.Errorf("pprof: %d", code)
	}

	write(t, dir, "ramjet.json", "{\n  \"listen\": 1}")
	if code, text := ask("POST", "/reload"); code != http.StatusUnprocessableEntity || !strings.Contains(text, "ramjet.json:2:13: listen:") {
		t.Errorf("reload of a bad file: %d %s", code, text)
	}
	p.wantBody("/", "home")
	write(t, dir, "ramjet.json", `{"content": {"root": "site"}, "admin": "a.sock", "limits": {"connections": 5}}`)
	if code, text := ask("POST", "/reload"); code != http.StatusOK || !strings.Contains(text, "takes a restart to change") || !strings.Contains(text, "limits") {
		t.Errorf("reload: %d %s", code, text)
	}
	if code, text := ask("GET", "/status"); code != http.StatusOK || !strings.Contains(text, `"limits"`) {
		t.Errorf("status: %d %s", code, text)
	}
	if a, err := p.get("/none"); err != nil || a.status != http.StatusNotFound {
		t.Errorf("the backend is still there: %v, %v", a, err)
	}
	if code, _ := ask("GET", "/reload"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET /reload: %d", code)
	}
	p.stop()
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left behind")
	}
}

var printed = regexp.MustCompile(`http://localhost:\d+(\S*)`)

// The demonstration answers what it tells people to try, as it is printed.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := start(t, "-demo")
	p.wait("Ctrl-C")
	log, _ := p.lines()
	var static, dynamic, explained int
	for _, line := range log {
		if m := printed.FindStringSubmatch(line); m != nil && strings.Contains(line, " page ") {
			a, err := p.get(m[1])
			if err != nil || a.status != http.StatusOK || !strings.HasPrefix(a.values("Content-Type")[0], "text/html") {
				t.Errorf("%s: %v, %v", m[0], a, err)
				continue
			}
			if len(a.values("Via")) > 0 {
				dynamic++
			} else {
				static++
			}
		}
		if _, target, ok := strings.Cut(line, "-demo -explain "); ok {
			if out, errs, status := output(t, "-demo", "-explain", target); status == 0 && strings.Contains(out, "rule 7") {
				explained++
			} else {
				t.Errorf("%s: exit status %d\n%s%s", target, status, out, errs)
			}
		}
	}
	if static != 1 || dynamic != 1 || explained < 1 {
		t.Errorf("%d static pages, %d dynamic ones, %d explanations in\n%s", static, dynamic, explained, strings.Join(log, "\n"))
	}
}

// A connection that was opened before the program is told to end, and is not
// used, does not keep it.
func TestIdleConnectionDoesNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	p := start(t, "-root", siteOf(t, "home"))
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if _, err := readAnswer(in, http.MethodGet); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}
