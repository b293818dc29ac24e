package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// get sends a GET of its own connection to the program.
func (p *process) get(path string) (*answer, error) {
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n", path); err != nil {
		return nil, err
	}
	return readAnswer(bufio.NewReader(conn), http.MethodGet)
}

// wantBody wants a 200 with that body.
func (p *process) wantBody(path, body string) {
	p.t.Helper()
	if a, err := p.get(path); err != nil || a.status != http.StatusOK || string(a.body) != body {
		p.t.Errorf("%s: %q was expected; %v\n%v", path, body, err, a)
	}
}

// site makes a site of one page and returns its folder.
func siteOf(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "index.html", text)
	return dir
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	stdout, stderr, status := output(t, "-listen", address, "-root", siteOf(t, "home"))
	if status != 1 || !strings.Contains(stderr, address+" is in use by another program") {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
}

// Of several configurations the first that is valid counts; a bad edit is
// reported, and the box serves.
func TestConfigChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := filepath.Join(dir, "none.json")
	broken := write(t, dir, "broken.json", "{\"listen\": 80}")
	good := write(t, dir, "good.json", `{"content": {"root": "site"}}`)
	other := write(t, dir, "other.json", "}")
	write(t, dir, "site/index.html", "home")
	p := start(t, "-config", none, "-config", broken, "-config", good, "-config", other)
	p.wantBody("/", "home")
	if line := p.wait("not valid, using the next"); !strings.Contains(line, "broken.json:1:12: listen:") {
		t.Errorf("the log does not say what is wrong: %s", line)
	}
	if log, _ := p.lines(); strings.Contains(strings.Join(log, "\n"), "other.json") {
		t.Error("what comes behind the one that counts was read")
	}
	// None is valid: the defaults.
	p = start(t, "-config", broken, "-config", other, "-root", filepath.Join(dir, "site"))
	p.wantBody("/", "home")
}

// A reload with a bad file keeps the old configuration and says so; a good one
// is applied, whether SIGHUP or the admin socket asks for it.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, "ramjet.json", `{"content": {"root": "old"}}`)
	write(t, dir, "old/index.html", "old")
	write(t, dir, "new/index.html", "new")
	p := start(t, "-config", file)
	p.wantBody("/", "old")

	write(t, dir, "ramjet.json", `{"content": {"rot": "new"}}`)
	p.signal(syscall.SIGHUP)
	if line := p.wait("not reloaded, the old configuration stays"); !strings.Contains(line, ":1:14: content.rot: unknown setting") {
		t.Errorf("the log does not say why: %s", line)
	}
	p.wantBody("/", "old")

	write(t, dir, "ramjet.json", `{"content": {"root": "none"}}`)
	p.signal(syscall.SIGHUP)
	p.wait("no such file")
	p.wantBody("/", "old")

	write(t, dir, "ramjet.json", `{"content": {"root": "new"}}`)
	p.signal(syscall.SIGHUP)
	p.wait("msg=\"reloaded ")
	p.wantBody("/", "new")
}

// slowDownload begins to fetch a file that no buffer can hold, and returns after
// its head. rest reads the rest.
func slowDownload(t *testing.T, p *process, size int64) (rest func() (int64, error)) {
	t.Helper()
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /large.bin HTTP/1.1\r\nHost: example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := readLine(in); err != nil || line != "HTTP/1.1 200 OK" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := readFields(in); err != nil {
		t.Fatal(err)
	}
	return func() (int64, error) { return io.Copy(io.Discard, io.LimitReader(in, size)) }
}

// largeSite is a site with a file that no socket buffer holds.
func largeSite(t *testing.T) (dir string, size int64) {
	t.Helper()
	dir, size = siteOf(t, "home"), 64<<20
	if err := os.Truncate(write(t, dir, "large.bin", ""), size); err != nil {
		t.Fatal(err)
	}
	return dir, size
}

// SIGTERM: nobody new is let in, what is in flight is finished.
func TestDrain(t *testing.T) {
	t.Parallel()
	dir, size := largeSite(t)
	p := start(t, "-root", dir)
	rest := slowDownload(t, p, size)
	p.signal(syscall.SIGTERM)
	p.wait("msg=draining")
	refused := false
	for deadline := time.Now().Add(patience); !refused && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		_, err := p.get("/")
		refused = err != nil
	}
	if !refused {
		t.Error("new connections are still answered")
	}
	if n, err := rest(); n != size || err != nil {
		t.Errorf("%d of %d bytes came, %v", n, size, err)
	}
	if status := p.end(); status.Signal() != syscall.SIGTERM {
		t.Errorf("exit status %d, signal %q", status.ExitStatus(), status.Signal())
	}
	p.wait("msg=ended")
}

// A client that does not read cannot keep the program: draining is bounded.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	dir, size := largeSite(t)
	file := write(t, t.TempDir(), "ramjet.json", `{"limits": {"drain_time": "300ms"}}`)
	p := start(t, "-config", file, "-root", dir)
	rest := slowDownload(t, p, size)
	p.signal(syscall.SIGTERM)
	p.wait("still in flight")
	if status := p.end(); status.Signal() != syscall.SIGTERM {
		t.Errorf("exit status %d, signal %q", status.ExitStatus(), status.Signal())
	}
	if n, _ := rest(); n == size {
		t.Error("the download was not cut")
	}
}

// A second signal ends the program at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	dir, size := largeSite(t)
	file := write(t, t.TempDir(), "ramjet.json", `{"limits": {"drain_time": "1h"}}`)
	p := start(t, "-config", file, "-root", dir)
	slowDownload(t, p, size)
	p.signal(syscall.SIGTERM)
	p.wait("msg=draining")
	p.signal(syscall.SIGTERM)
	p.end()
}

// SIGINT is for people: it drains as well, and the program has done what it was
// asked to do.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	p := start(t, "-root", siteOf(t, "home"))
	p.wantBody("/", "home")
	p.signal(os.Interrupt)
	if status := p.end(); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("exit status %d, signal %q", status.ExitStatus(), status.Signal())
	}
}

// A client that says close, and more behind it, has its answer, even if what it says comes while the answer is on its way
// to it: a connection that is closed with unread input is reset, and what was still to be sent is lost.
func TestMoreBehindTheLastRequest(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			asked, answer, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
			farm := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				close(asked)
				<-answer
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
				close(answered)
				_, _ = in.ReadByte()
			})
			p := startHooked(t, t.TempDir(), setting+`"health": {"check": "off"}, "backends": [{"url": "http://`+farm+`"}]`)
			c := p.dial()
			fmt.Fprint(c, "GET /farm HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			<-asked
			p.signal(syscall.SIGSTOP) // It sees both at once, in their order.
			close(answer)
			<-answered
			fmt.Fprint(c, "GET /last HTTP/1.1\r\nHost: a\r\n\r\n")
			p.signal(syscall.SIGCONT)
			got, err := io.ReadAll(c)
			if !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || !strings.HasSuffix(string(got), "\r\n\r\nhello") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
