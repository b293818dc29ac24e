package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Clients as they are: hurried, slow, rude, many. All tests are about the program
// with its event loops, seen from outside.

// hooked is a program whose metrics can be asked for.
type hooked struct {
	*process
	ask func(method, path string, body ...string) (int, string)
}

// startHooked starts the program with more settings, for a site in dir.
func startHooked(t *testing.T, dir, settings string) *hooked {
	t.Helper()
	home := t.TempDir()
	file := write(t, home, "ramjet.json", fmt.Sprintf(`{"content": {"root": %q, "memory_per_file": "64KiB"}, "admin": "a.sock", %s}`, dir, settings))
	return &hooked{start(t, "-config", file), adminClient(t, filepath.Join(home, "a.sock"))}
}

// metric returns the sum of a metric's lines, all labels.
func (h *hooked) metric(name string) (sum int) {
	h.t.Helper()
	_, text := h.ask("GET", "/metrics")
	for _, m := range regexp.MustCompile(`(?m)^ramjet_`+name+`(?:\{.*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			h.t.Fatal(err)
		}
		sum += int(n)
	}
	return sum
}

// eventually waits for a metric to be as wanted.
func (h *hooked) eventually(name string, want func(int) bool) {
	h.t.Helper()
	n := 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if n = h.metric(name); want(n) {
			return
		}
	}
	h.t.Errorf("ramjet_%s is %d in the end", name, n)
}

func none(n int) bool { return n == 0 }
func some(n int) bool { return n > 0 }

// client is a connection with a reader.
type client struct {
	*net.TCPConn
	in *bufio.Reader
}

func (p *process) dial() *client {
	p.t.Helper()
	c, err := net.Dial("tcp", p.listen)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{c.(*net.TCPConn), bufio.NewReader(c)}
}

// ask sends a GET on a kept connection.
func (c *client) ask(path string) {
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: example\r\n\r\n", path) // An error shows when the answer is read.
}

// want wants an answer with that status and body.
func (c *client) want(t *testing.T, status int, body string) {
	t.Helper()
	a, err := readAnswer(c.in, "GET")
	if err != nil || a.status != status || body != "" && string(a.body) != body {
		t.Fatalf("%d %q was expected: %v, %v", status, body, err, a)
	}
}

func TestByteByByte(t *testing.T) {
	t.Parallel()
	p := startHooked(t, siteOf(t, "home"), "")
	c := p.dial()
	for _, b := range []byte("\r\nGET / HTTP/1.1\r\nHost: example\r\nUser-Agent: slow\r\n\r\nGET /none HTTP/1.1\r\nHost: example\r\n\r\n") {
		c.Write([]byte{b})
		time.Sleep(time.Millisecond)
	}
	c.want(t, 200, "home")
	c.want(t, 404, "")
	if n := p.metric("loop_requests_total"); n != 1 {
		t.Errorf("the loops answered %d", n)
	}
}

func TestPipeline(t *testing.T) {
	t.Parallel()
	dir := siteOf(t, "home")
	large := strings.Repeat("0123456789abcdef", 20<<10)
	write(t, dir, "large.txt", large)
	p := startHooked(t, dir, "")
	c := p.dial()
	const many = 1000
	go func() {
		var all bytes.Buffer
		for i := range many {
			fmt.Fprintf(&all, "GET %s HTTP/1.1\r\nHost: example\r\n\r\n", []string{"/", "/large.txt"}[i%100/99])
		}
		all.WriteString("GET /none HTTP/1.1\r\nHost: example\r\n\r\nGET / HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n")
		c.Write(all.Bytes())
	}()
	for i := range many {
		c.want(t, 200, []string{"home", large}[i%100/99])
	}
	c.want(t, 404, "") // Handed off in the middle of the pipeline.
	c.want(t, 200, "home")
	if rest, err := io.ReadAll(c.in); len(rest) > 0 || err != nil {
		t.Errorf("behind the end %q, %v", rest, err)
	}
	if p.metric("loop_requests_total") != many || p.metric("handoffs_total") != 1 {
		t.Error("the loops did not answer all that is theirs")
	}
}

// A client that breaks off, or never reads, leaves nothing behind.
func TestRudeClients(t *testing.T) {
	t.Parallel()
	dir, size := largeSite(t)
	p := startHooked(t, dir, `"limits": {"stall_time": "1s"}`)
	for range 50 {
		c := p.dial()
		c.ask("/large.bin")
		c.in.ReadByte()
		c.SetLinger(0)
		c.Close()
	}
	var deaf []*client
	for range 10 {
		c := p.dial()
		c.ask("/large.bin")
		deaf = append(deaf, c)
	}
	slow := slowDownload(t, p.process, size)
	p.eventually("loop_stall_timeouts_total", func(n int) bool { return n >= len(deaf) })
	p.eventually("loop_resets_total", some)
	_ = slow // It reads nothing as well, but for its head.
	p.eventually("connections", none)
	p.wantBody("/", "home")
}

// A slow reader is not a deaf one.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	dir, size := largeSite(t)
	p := startHooked(t, dir, `"limits": {"stall_time": "500ms"}`)
	c := p.dial()
	c.SetReadBuffer(64 << 10)
	c.ask("/large.bin")
	got := 0
	buf := make([]byte, 256<<10)
	for begun := time.Now(); time.Since(begun) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		n, err := c.in.Read(buf)
		if got += n; err != nil {
			t.Fatalf("%d bytes, then %v", got, err)
		}
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(c.in, size-int64(got)))
	if err != nil || rest == 0 {
		t.Errorf("%d bytes, then %d, %v", got, rest, err)
	}
}

// What is being sent goes on as it was when the site, or the whole
// configuration, changes; a file that is overwritten is never sent as if whole.
func TestChangesWhileServed(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"reload", "replace", "remove", "overwrite"} {
		t.Run(change, func(t *testing.T) {
			dir, size := largeSite(t)
			p := startHooked(t, dir, "")
			name := filepath.Join(dir, "large.bin")
			rest := slowDownload(t, p.process, size)
			switch change {
			case "reload":
				p.signal(syscall.SIGHUP)
				p.wait("msg=\"reloaded ")
			case "replace":
				if err := os.Rename(write(t, t.TempDir(), "new", "new"), name); err != nil {
					t.Fatal(err)
				}
			case "remove":
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			case "overwrite":
				f, err := os.OpenFile(name, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				f.WriteAt([]byte("changed"), size-7)
				f.Close()
			}
			time.Sleep(time.Second)
			n, err := rest()
			if whole := n == size && err == nil; whole == (change == "overwrite") {
				t.Errorf("%d of %d bytes came, %v", n, size, err)
			}
		})
	}
}

// Connections above the limit wait; those above the limit of their address do not.
func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	p := startHooked(t, siteOf(t, "home"), `"limits": {"connections": 10}`)
	var held []*client
	for range 10 {
		c := p.dial()
		c.ask("/")
		c.want(t, 200, "home")
		held = append(held, c)
	}
	next := p.dial()
	next.ask("/")
	next.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := next.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("above the limit: %v", err)
	}
	held[3].Close()
	next.SetReadDeadline(time.Now().Add(patience))
	next.want(t, 200, "home")

	crowd := startHooked(t, siteOf(t, "home"), `"limits": {"connections_per_address": 3}`)
	held = nil
	for range 3 {
		c := crowd.dial()
		c.ask("/none") // Those that were handed off count as well.
		c.want(t, 404, "")
		held = append(held, c)
	}
	fourth := crowd.dial()
	fourth.ask("/")
	if _, err := fourth.in.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("above the limit of the address: %v", err)
	}
	held[0].Close()
	crowd.eventually("connections", func(n int) bool { return n == 2 })
	fifth := crowd.dial()
	fifth.ask("/")
	fifth.want(t, 200, "home")
	if n := crowd.metric("connections_crowded_total"); n != 1 {
		t.Errorf("%d were counted", n)
	}
}

// Without a descriptor to be had nothing breaks, and when there are some again all
// goes on.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	p := startHooked(t, siteOf(t, "home"), "")
	kept := p.dial()
	kept.ask("/")
	kept.want(t, 200, "home")
	pid := p.cmd.Process.Pid
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 20000}, &before); err != nil {
		t.Skip("may not change the limits of another process:", err)
	}
	for range 20 {
		p.dial().ask("/")
	}
	time.Sleep(300 * time.Millisecond)
	kept.ask("/")
	kept.want(t, 200, "home")
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	c := p.dial()
	c.ask("/")
	c.want(t, 200, "home")
	p.eventually("accept_errors_total", some)
}

// Connections that come and go leave no descriptor, no memory and no goroutine.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	many := 100_000
	if underRace {
		many = 10_000
	}
	p := startHooked(t, siteOf(t, "home"), "")
	run := func(n int) {
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for i := range n / 8 {
					c, err := net.Dial("tcp", p.listen)
					if err != nil {
						t.Error(err)
						return
					}
					c.(*net.TCPConn).SetLinger(0) // Else they wait for their end until the ports run out.
					fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: example\r\n\r\n", []string{"", "", "", "none"}[(i+worker)%4])
					c.Read(make([]byte, 2000))
					c.Close()
				}
			})
		}
		group.Wait()
		p.eventually("connections", none)
	}
	run(8000) // So that all that grows once has grown.
	files, memory, goroutines := p.files(), p.memory(), p.goroutines()
	run(many)
	p.ask("GET", "/debug/pprof/heap?gc=1")
	if n := p.files(); n > files+3 {
		t.Errorf("%d descriptors, before %d", n, files)
	}
	if n := p.memory(); n > memory+(16<<20) && !underRace {
		t.Errorf("%d MB of memory, before %d", n>>20, memory>>20)
	}
	if n := p.goroutines(); n > goroutines+5 {
		t.Errorf("%d goroutines, before %d", n, goroutines)
	}
}

// files returns how many descriptors the program has open.
func (h *hooked) files() int {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.cmd.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(names)
}

// memory returns the program's resident bytes.
func (h *hooked) memory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", h.cmd.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	var size, resident int
	fmt.Sscan(string(text), &size, &resident)
	return resident * os.Getpagesize()
}

func (h *hooked) goroutines() int {
	_, text := h.ask("GET", "/metrics")
	m := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindStringSubmatch(text)
	if m == nil {
		h.t.Fatal("no go_goroutines")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// A few connections that stay are spread over the loops, whatever the kernel's
// hash says.
func TestBalance(t *testing.T) {
	t.Parallel()
	p := startHooked(t, siteOf(t, "home"), `"eventloop": {"loops": 4}`)
	for range 8 {
		c := p.dial()
		c.ask("/")
		c.want(t, 200, "home")
	}
	_, before := p.ask("GET", "/metrics")
	for range 8 {
		c := p.dial()
		for range 10 {
			c.ask("/")
			c.want(t, 200, "home")
		}
	}
	time.Sleep(50 * time.Millisecond) // The counters of a busy loop may be a little old.
	_, after := p.ask("GET", "/metrics")
	requests := regexp.MustCompile(`(?m)^ramjet_loop_requests_total\{loop="(\d)"\} (\d+)$`)
	was := requests.FindAllStringSubmatch(before, -1)
	for i, m := range requests.FindAllStringSubmatch(after, -1) {
		b, _ := strconv.Atoi(was[i][2])
		if n, _ := strconv.Atoi(m[2]); n-b < 18 {
			t.Errorf("loop %s answered %d of 80", m[1], n-b)
		}
	}
}

// A file that the kernel has to fetch from the disk is fetched aside.
func TestColdFile(t *testing.T) {
	t.Parallel()
	dir := siteOf(t, "home")
	text := strings.Repeat("what lies on the disk\n", 200_000)
	name := write(t, dir, "cold.txt", text)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := startHooked(t, dir, "")
	if err := errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		t.Fatal(err)
	}
	c := p.dial()
	c.ask("/cold.txt")
	c.ask("/")
	c.want(t, 200, text)
	c.want(t, 200, "home")
	if n := p.metric("loop_cold_reads_total"); n == 0 {
		t.Skip("the file system keeps its files in memory")
	}
	if p.metric("handoffs_total") != 0 {
		t.Error("it was handed off")
	}
}
