package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// logHead is what a line of the access log begins with.
var logHead = regexp.MustCompile(`^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] `)

// waitLogged waits for a line of the access log, on the standard output, that is
// text behind the time.
func (p *process) waitLogged(text string) error {
	timeout := time.After(patience)
	for {
		log, more := p.lines()
		for _, line := range log {
			if head := logHead.FindString(line); head != "" && line[len(head):] == text {
				return nil
			}
		}
		select {
		case <-more:
		case <-timeout:
			return fmt.Errorf("not in the access log: %s", text)
		}
	}
}

// logFile reads an access log of JSON.
func logFile(t *testing.T, path string) (lines []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, object)
	}
	return lines
}

// At the end each request that was answered has its line in the file, once,
// whichever tier answered it.
func TestAccessLogIsComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, "ramjet.json", `{"content": {"root": "site"}, "access_log": {"format": "json", "to": "log/access.log"}}`)
	write(t, dir, "site/index.html", "home")
	p := start(t, "-config", file)
	const clients, each = 4, 100
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			conn, err := net.Dial("tcp", p.listen)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for i := range each {
				request := "GET /?%d-%d HTTP/1.1\r\nHost: example\r\n\r\n"
				if i == each/2 { // From here on the complete tier has the connection.
					request = "GET /none?%d-%d HTTP/1.1\r\nHost: example\r\n\r\n"
				}
				if _, err := fmt.Fprintf(conn, request, client, i); err != nil {
					t.Error(err)
				}
				if _, err := readAnswer(in, http.MethodGet); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	p.stop()
	seen := map[string]int{}
	for _, line := range logFile(t, filepath.Join(dir, "log/access.log")) {
		seen[line["target"].(string)]++
		want := 200.0
		if strings.HasPrefix(line["target"].(string), "/none") {
			want = 404
		}
		if line["status"] != want || line["remote"] != "127.0.0.1" || line["host"] != "example" {
			t.Fatalf("%v", line)
		}
	}
	if len(seen) != clients*each {
		t.Errorf("%d targets in the log of %d", len(seen), clients*each)
	}
	for target, n := range seen {
		if n != 1 {
			t.Errorf("%s has %d lines", target, n)
		}
	}
}

// A download that is in flight when the program is told to stop has its line, and
// so has one that the client gives up.
func TestAccessLogOfTheEnd(t *testing.T) {
	t.Parallel()
	dir, size := largeSite(t)
	logs := t.TempDir()
	file := write(t, logs, "ramjet.json", `{"access_log": {"format": "json", "to": "./access.log"}}`)
	p := start(t, "-config", file, "-root", dir)
	gone, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(gone, "GET /large.bin?gone HTTP/1.1\r\nHost: example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := readLine(bufio.NewReader(gone)); err != nil {
		t.Fatal(err)
	}
	rest := slowDownload(t, p, size)
	p.signal(syscall.SIGTERM)
	p.wait("msg=draining")
	gone.Close()
	if n, err := rest(); n != size || err != nil {
		t.Errorf("%d of %d bytes came, %v", n, size, err)
	}
	p.end()
	lines := logFile(t, filepath.Join(logs, "access.log"))
	if len(lines) != 2 {
		t.Fatalf("%v", lines)
	}
	for _, line := range lines {
		whole := line["bytes"] == float64(size)
		if line["status"] != 200.0 || whole == strings.HasSuffix(line["target"].(string), "gone") {
			t.Errorf("%v", line)
		}
	}
}

// SIGHUP: a file that was renamed is left alone, and new settings count.
func TestAccessLogReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	file := write(t, dir, "ramjet.json", `{"access_log": {"format": "json", "to": "./access.log"}, "admin": "a.sock"}`)
	p := start(t, "-config", file, "-root", siteOf(t, "home"))
	ask := adminClient(t, filepath.Join(dir, "a.sock"))
	lines := func(n int) {
		t.Helper()
		want := fmt.Sprintf("\nramjet_access_log_lines_total %d\n", n)
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			_, text := ask("GET", "/metrics")
			if strings.Contains(text, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("no %q in\n%s", want, text)
			}
		}
	}
	exists := func(path string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not appear", path)
			}
		}
	}
	p.wantBody("/?1", "home")
	lines(1)
	if _, text := ask("GET", "/status"); !strings.Contains(text, `"lines": 1,`) || !strings.Contains(text, path) {
		t.Errorf("status: %s", text)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	exists(path)
	p.wantBody("/?2", "home")
	lines(2)

	write(t, dir, "ramjet.json", `{"access_log": {"format": "json", "to": "./other.log"}, "admin": "a.sock"}`)
	if code, text := ask("POST", "/reload"); code != http.StatusOK || strings.Contains(text, "restart") {
		t.Errorf("%d %s", code, text)
	}
	exists(filepath.Join(dir, "other.log"))
	p.wantBody("/?3", "home")
	lines(3)

	write(t, dir, "ramjet.json", `{"admin": "a.sock"}`)
	if code, text := ask("POST", "/reload"); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	p.stop()
	for name, want := range map[string]string{"access.log.1": "/?1", "access.log": "/?2", "other.log": "/?3"} {
		if got := logFile(t, filepath.Join(dir, name)); len(got) != 1 || got[0]["target"] != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A log that cannot be written keeps nobody from being served, and is said once.
func TestAccessLogFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, "ramjet.json", `{"content": {"root": "site"}, "access_log": {"format": "common", "to": "ramjet.json/access.log"}}`)
	write(t, dir, "site/index.html", "home")
	p := start(t, "-config", file)
	p.wait("the access log cannot be written")
	p.wantBody("/", "home")
	p.stop()
	p.wait("dropped=1")
}

// A log inside of the site would have it read again after each line.
func TestAccessLogInsideOfTheSite(t *testing.T) {
	t.Parallel()
	dir := siteOf(t, "home")
	file := write(t, dir, "ramjet.json", `{"access_log": {"format": "common", "to": "./access.log"}}`)
	start(t, "-config", file, "-root", dir).wait("the access log lies inside of the site")
}
