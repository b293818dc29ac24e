package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A fuzz test of the two tiers against each other: whatever bytes come, in
// whatever pieces, the event loops with the complete tier behind them must answer
// what the complete tier answers by itself: same statuses, same fields but Date
// and Connection, same bodies, as many answers.
func FuzzTiers(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s), uint64(len(s)))
	}
	root := fuzzSite(f)
	loops, alone := inProcess(f, root, false, ""), inProcess(f, root, true, "")
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		skipStrange(t, stream)
		var got, want string
		for range 3 { // A reset may take an answer with it: only what is always so counts.
			got, want = converse(t, loops, stream, seed), converse(t, alone, stream, seed)
			if got == want {
				return
			}
		}
		t.Errorf("the loops answer\n%s\nand the complete tier\n%s\nto %q, cut by %d", brief(got), brief(want), stream, seed)
	})
}

// skipStrange skips what says nothing about the tiers.
func skipStrange(t *testing.T, stream []byte) {
	switch {
	case len(stream) > 64<<10:
		t.Skip("larger than any head and its neighbours")
	case bytes.Contains(stream, []byte("PRI * HTTP/2.0")):
		t.Skip("the frames of HTTP/2 come as they come, and the loops have no part in them")
	}
}

const getHead = " HTTP/1.1\r\nHost: a\r\n"

// streams are what the fuzz test begins with.
var streams = []string{
	"GET /index.html" + getHead + "\r\n",
	"HEAD /page.html" + getHead + "Accept-Encoding: br, gzip\r\n\r\nGET /page.html" + getHead + "Accept-Encoding: zstd;q=0.1, identity;q=0\r\n\r\n",
	"GET /digits.txt" + getHead + "If-None-Match: W/\"a\", \"3e8-abc\", *\r\n\r\n",
	"GET /digits.txt" + getHead + "If-None-Match: *\r\n\r\n",
	"GET /digits.txt" + getHead + "If-None-Match: \"x\" \"y\",,\r\n\r\n",
	"GET /digits.txt" + getHead + "If-Modified-Since: Wed, 01 May 2024 00:00:00 GMT\r\n\r\n",
	"GET /digits.txt" + getHead + "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\n",
	"GET /digits.txt" + getHead + "If-None-Match:\r\nIf-Modified-Since: Thu, 02 May 2024 00:00:00 GMT\r\n\r\n",
	"GET /digits.txt HTTP/1.0\r\n\r\n",
	"GET /digits.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /empty.txt HTTP/1.0\r\n\r\nGET /lost HTTP/1.0\r\n\r\n",
	"GET /digits.txt" + getHead + "Connection: close\r\n\r\nGET /index.html" + getHead + "\r\n",
	"GET /digits.txt" + getHead + "Connection: keep-alive, close\r\n\r\n",
	"GET /digits.txt" + getHead + "Range: bytes=0-3\r\n\r\nGET /style.css" + getHead + "\r\n",
	"GET /dir" + getHead + "\r\nGET /dir/" + getHead + "\r\nGET /dir/index.html" + getHead + "\r\n",
	"GET /with%20space.html" + getHead + "\r\nGET /%2e%2e/a" + getHead + "\r\nGET /a%2fb" + getHead + "\r\nGET /%00" + getHead + "\r\n",
	"GET /digits.txt?a=%zz" + getHead + "\r\nGET /digits.txt#a" + getHead + "\r\n",
	"GET http://a/digits.txt" + getHead + "\r\nOPTIONS *" + getHead + "\r\n",
	"POST /digits.txt" + getHead + "Content-Length: 5\r\n\r\nhelloGET /digits.txt" + getHead + "\r\n",
	"GET /digits.txt" + getHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET /digits.txt" + getHead + "Expect: 100-continue\r\n\r\n",
	"GET /digits.txt" + getHead + "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
	"GET /digits.txt HTTP/1.1\r\n\r\n", "GET /digits.txt HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
	"GET /digits.txt HTTP/1.1\r\nHost: a:99999\r\n\r\n", "GET /digits.txt HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET /digits.txt HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", "GET /digits.txt HTTP/1.1\r\nHost : a\r\n\r\n",
	"GET /digits.txt HTTP/1.1\nHost: a\n\n", "GET  /digits.txt HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r\nGET /digits.txt" + getHead + "\r\n", "GET /digits.txt HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET /digits.txt" + getHead + "X: a\x00b\r\n\r\n", "GET /digits.txt" + getHead + "X:\tb\t\r\nY: \xff\r\n\r\n",
	"GET /large.bin" + getHead + "\r\nGET /digits.txt" + getHead + "\r\n",
	"GET /digits.txt" + getHead + "X: " + strings.Repeat("a", 9000) + "\r\n\r\n",
	strings.Repeat("GET /digits.txt"+getHead+"\r\n", 30) + "GET /nothing" + getHead + "\r\n",
	"GET /digits.txt" + getHead, "GET /dig", "",
}

// fuzzSite writes the site of the scripts, and returns where.
func fuzzSite(t testing.TB) string {
	sites, err := readSites("testdata/site.list")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "site")
	if err := writeSite(root, sites["plain"]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // A file that changed a moment ago counts as half written.
	return root
}

// inProcess starts the program's parts in this process, so that the fuzzer sees
// what they do, and returns where they listen. Larger files are sent from disk.
// One address may have any number of connections: a connection that is being ended counts for half a second, and a
// fuzzer makes hundreds meanwhile.
func inProcess(t testing.TB, root string, alone bool, forward string, backends ...string) string {
	setup := fmt.Sprintf(`{"listen": "127.0.0.1:0", "content": {"root": %q, "memory_per_file": "1KiB"}, "eventloop": {"disabled": %v, "loops": 1},
		"limits": {"connections_per_address": 0},
		"forward": {%s "retries": 0}, "ejection": {"failures": 0}, "health": {"check": "off"}, "backends": [`, root, alone, forward)
	for _, b := range backends {
		setup += fmt.Sprintf(`{"url": "http://%s"}`, b)
	}
	setup += "]}"
	l, err := parsed("ramjet.json", []byte(setup))
	if err == nil {
		l, err = l.withOwnFarm(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{config: l.config, loaded: l, source: &source{options: &options{}, log: log}, log: log, level: new(slog.LevelVar), out: io.Discard}
	tasks, err := s.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, len(tasks))
	for _, task := range tasks {
		go func() { ended <- task.Run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range tasks {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return s.listener.Addr().String()
}

// converse sends the stream, in pieces, and then, perhaps after a wait, says that it has said all. It
// returns what came back, in a form in which the same is the same.
func converse(t *testing.T, address string, stream []byte, seed uint64, wait ...time.Duration) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() {
		random := rand.New(rand.NewPCG(seed, 0))
		for rest := stream; len(rest) > 0; {
			n := len(rest)
			if random.IntN(3) > 0 {
				n = 1 + random.IntN(len(rest))
			}
			if _, err := c.Write(rest[:n]); err != nil {
				break // It has refused the rest.
			}
			if rest = rest[n:]; random.IntN(2) == 0 {
				time.Sleep(50 * time.Microsecond)
			}
		}
		if len(wait) > 0 {
			time.Sleep(wait[0])
		}
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if os.IsTimeout(err) {
		t.Errorf("%q, cut by %d: the server at %s does not come to an end", stream, seed, address)
	}
	return canonical(got)
}

var answerBegins = regexp.MustCompile(`HTTP/1\.[01] \d{3} `)

// canonical takes answers apart, drops what may differ, and puts the rest in order.
// No body of the site looks like the beginning of an answer.
func canonical(stream []byte) string {
	var out strings.Builder
	at := answerBegins.FindAllIndex(stream, -1)
	for i, from := range at {
		end := len(stream)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		head, body, whole := strings.Cut(string(stream[from[0]:end]), "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		for j, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ":")
			lines[1+j] = strings.ToLower(name) + ":" + value
		}
		lines = slices.DeleteFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "date:") || strings.HasPrefix(line, "connection:")
		})
		slices.Sort(lines[1:])
		fmt.Fprintf(&out, "%s\nhead whole %v, body %q\n", strings.Join(lines, "\n"), whole, body)
	}
	if len(at) == 0 || at[0][0] > 0 {
		fmt.Fprintf(&out, "before the first answer %q\n", stream[:min(len(stream), 100)])
	}
	return out.String()
}

// brief cuts the long lines of what a person has to read.
func brief(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if len(line) > 200 {
			lines[i] = line[:200] + "…"
		}
	}
	return strings.Join(lines, "\n")
}
