package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// soakClients are the clients of the soak: how many at a time, what one of them
// does with one connection or a few, and how long it then rests. A session
// returns how many answers it found right, or what was wrong with one.
var soakClients = []struct {
	name    string
	clients int
	session func(*soak) (int, error)
	pause   time.Duration
}{
	{"browser", 8, (*soak).browse, 20 * time.Millisecond},
	{"pipeline", 3, (*soak).pipeline, 50 * time.Millisecond},
	{"one shot", 4, (*soak).oneShot, 20 * time.Millisecond},
	{"forwarded", 4, (*soak).forwarded, 20 * time.Millisecond},
	{"range", 2, (*soak).ranges, 30 * time.Millisecond},
	{"slow reader", 4, (*soak).slowReader, 100 * time.Millisecond},
	{"byte by byte", 3, (*soak).byteByByte, 20 * time.Millisecond},
	{"half closed", 2, (*soak).halfClosed, 30 * time.Millisecond},
	{"malformed", 2, (*soak).malformed, 50 * time.Millisecond},
	{"too large", 1, (*soak).tooLarge, 200 * time.Millisecond},
	{"sleeper", 2, (*soak).sleeper, 0},
	{"reset", 3, (*soak).reset, 50 * time.Millisecond},
	{"never reads", 3, (*soak).neverReads, 0},
	{"never writes", 10, (*soak).neverWrites, 0},
	{"flood", 1, (*soak).flood, time.Second},
}

// about is a time from a half to three halves of d.
func about(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

func newReader(c io.Reader) *bufio.Reader { return bufio.NewReaderSize(c, 16<<10) }

// kept is what a browser has of a file.
type kept struct{ etag, modified string }

// browse is a browser: one file after the other on a kept connection, some of
// them again, by what it has of them.
func (s *soak) browse() (n int, err error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	paths := []string{"/", "/page.html", "/middle.txt", "/news.txt", "/page.html", "/index.html", "/large.txt"}
	cache := map[string]kept{}
	for left := 5 + rand.IntN(40); left > 0; left-- {
		path, method, fields := paths[rand.IntN(len(paths))], "GET", ""
		if rand.IntN(8) == 0 {
			method = "HEAD"
		}
		fields += []string{"", "Accept-Encoding: gzip, br\r\n", "Accept-Encoding: gzip\r\n", "User-Agent: a browser\r\nReferer: http://example/\r\n"}[rand.IntN(4)]
		have, again := cache[path]
		if again = again && rand.IntN(2) == 0; again {
			fields += []string{"If-None-Match: " + have.etag + "\r\n", "If-Modified-Since: " + have.modified + "\r\n"}[rand.IntN(2)]
		}
		if left == 1 {
			fields += "Connection: close\r\n"
		}
		asked := time.Now()
		if err := c.send("%s %s HTTP/1.1\r\nHost: example\r\n%s\r\n", method, path, fields); err != nil {
			return n, err
		}
		a, err := readAnswer(c.in, method)
		if err != nil {
			return n, fmt.Errorf("%s %s: %w", method, path, err)
		}
		if err := s.judge(a, method, path, again, asked); err != nil {
			return n, fmt.Errorf("%s %s, %s: %w", method, path, strings.ReplaceAll(fields, "\r\n", "; "), err)
		}
		if a.status == http.StatusOK {
			cache[path] = kept{a.values("ETag")[0], a.values("Last-Modified")[0]}
		}
		n++
		if rand.IntN(4) == 0 {
			time.Sleep(rand.N(20 * time.Millisecond))
		}
	}
	return n, c.atEnd()
}

// judge judges the answer to a request for a file.
func (s *soak) judge(a *answer, method, path string, maybe304 bool, asked time.Time) error {
	if err := a.judge(); err != nil {
		return err
	}
	if len(a.values("ETag")) != 1 || len(a.values("X-Farm")) > 0 {
		return fmt.Errorf("this is no answer for a file: %v", a)
	}
	if a.status == http.StatusNotModified && maybe304 {
		return nil
	}
	if a.status != http.StatusOK || len(a.values("Last-Modified")) != 1 {
		return fmt.Errorf("this is not the file: %v", a)
	}
	if method == "HEAD" {
		return nil
	}
	body, err := unpack(a)
	if err != nil {
		return err
	}
	if path == "/" {
		path = "/index.html"
	}
	return s.site.check(path, body, asked)
}

// whole reads the answer to a GET for a file and judges it.
func (s *soak) whole(c *client, path string, asked time.Time) error {
	a, err := readAnswer(c.in, "GET")
	if err == nil {
		err = s.judge(a, "GET", path, false, asked)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// send sends a request, with all the time for its answer.
func (c *client) send(format string, args ...any) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c, format, args...)
	return err
}

// atEnd wants the server to have closed the connection, and nothing before that.
func (c *client) atEnd() error {
	if b, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %q, %w", errLeftover, b, err)
	}
	return nil
}

// pipeline sends many requests at once; one in the middle may be for the farm, so
// that the others come from the complete tier.
func (s *soak) pipeline() (n int, err error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	const farm = "/farm"
	var paths []string
	for range 10 + rand.IntN(200) {
		paths = append(paths, []string{"/index.html", "/news.txt", "/middle.txt"}[rand.IntN(3)])
	}
	paths[rand.IntN(len(paths))] = []string{"/large.txt", farm, "/index.html"}[rand.IntN(3)]
	asked := time.Now()
	sent := make(chan error, 1)
	go func() {
		var all bytes.Buffer
		for i, path := range paths {
			last := ""
			if i == len(paths)-1 {
				last = "Connection: close\r\n"
			}
			fmt.Fprintf(&all, "GET %s HTTP/1.1\r\nHost: example\r\n%s\r\n", path, last)
		}
		_, err := c.Write(all.Bytes())
		sent <- err
	}()
	for i, path := range paths {
		if path != farm {
			err = s.whole(c, path, asked)
		} else if a, problem := readAnswer(c.in, "GET"); problem != nil {
			err = problem
		} else {
			err = a.echoes("GET /farm HTTP/1.1", "")
		}
		if err != nil {
			return n, fmt.Errorf("answer %d of %d: %w", i+1, len(paths), err)
		}
		n++
	}
	return n, errors.Join(<-sent, c.atEnd())
}

// oneShot is a connection for one request.
func (s *soak) oneShot() (int, error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	path := []string{"/index.html", "/middle.txt"}[rand.IntN(2)]
	asked := time.Now()
	rest := []string{"HTTP/1.1\r\nHost: example\r\nConnection: close\r\n", "HTTP/1.0\r\n"}[rand.IntN(2)]
	if err := c.send("GET %s %s\r\n", path, rest); err != nil {
		return 0, err
	}
	if err := s.whole(c, path, asked); err != nil {
		return 0, err
	}
	return 1, c.atEnd()
}

// forwarded has the farm answer, and files in between.
func (s *soak) forwarded() (n int, err error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for range 1 + rand.IntN(20) {
		line, fields, body := fmt.Sprintf("GET /dynamic/%d?a=%d HTTP/1.1", rand.Int(), n), "", ""
		sent := ""
		switch rand.IntN(4) {
		case 0:
			body = strings.Repeat(fmt.Sprintf("body %d ", rand.Int()), 1+rand.IntN(5000))
			line, sent = "POST /farm HTTP/1.1", body
			fields = fmt.Sprintf("Content-Length: %d\r\n", len(body))
		case 1:
			body = strings.Repeat("in two chunks ", 1+rand.IntN(5000))
			line, fields = "POST /dynamic/in-chunks HTTP/1.1", "Transfer-Encoding: chunked\r\n"
			half := len(body) / 2
			sent = fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, body[:half], len(body)-half, body[half:])
		case 2:
			asked := time.Now()
			if err := c.send("GET /page.html HTTP/1.1\r\nHost: example\r\n\r\n"); err != nil {
				return n, err
			}
			if err := s.whole(c, "/page.html", asked); err != nil {
				return n, err
			}
		}
		if err := c.send("%s\r\nHost: example\r\n%s\r\n%s", line, fields, sent); err != nil {
			return n, err
		}
		a, err := readAnswer(c.in, "GET")
		if err != nil {
			return n, fmt.Errorf("%s: %w", line, err)
		}
		if err := a.echoes(line, body); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// echoes wants the farm to have had this request line and body.
func (a *answer) echoes(line, body string) error {
	if a.status != http.StatusOK || !slices.Equal(a.values("X-Farm"), []string{"echo"}) {
		return fmt.Errorf("%s: this is not from the farm: %v", line, a)
	}
	head, got, _ := strings.Cut(string(a.body), "\r\n\r\n")
	if first, _, _ := strings.Cut(head, "\r\n"); first != line || got != body {
		return fmt.Errorf("the farm got %q and a body of %d bytes instead of %q and %d", first, len(got), line, len(body))
	}
	return nil
}

// ranges asks for parts, some under the condition that the file is what it was.
func (s *soak) ranges() (n int, err error) {
	c, err := s.connect("127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for etag := ""; n < 10; n++ {
		path := []string{"/large.txt", "/news.txt"}[rand.IntN(2)]
		size := changingFiles[path]
		first := rand.IntN(size - 3*lineLength)
		last := first + 2*lineLength + rand.IntN(size-first-2*lineLength)
		condition := ""
		if etag != "" {
			condition = "If-Range: " + etag + "\r\n"
		}
		asked := time.Now()
		if err := c.send("GET %s HTTP/1.1\r\nHost: example\r\nRange: bytes=%d-%d\r\n%s\r\n", path, first, last, condition); err != nil {
			return n, err
		}
		a, err := readAnswer(c.in, "GET")
		if err != nil {
			return n, fmt.Errorf("%s %d-%d: %w", path, first, last, err)
		}
		if err := a.judge(); err != nil {
			return n, err
		}
		switch want := fmt.Sprintf("bytes %d-%d/%d", first, last, size); {
		case a.status == http.StatusOK && condition != "":
			err = s.site.check(path, a.body, asked)
		case a.status != http.StatusPartialContent || a.values("Content-Range")[0] != want || len(a.body) != last-first+1:
			err = fmt.Errorf("%s was asked for: %v", want, a)
		default:
			err = s.site.checkPart(path, a.body, first, asked)
		}
		if err != nil {
			return n, fmt.Errorf("%s: %w", path, err)
		}
		etag = a.values("ETag")[0]
	}
	return n, nil
}

// folderSize returns the size of the files in a folder.
func folderSize(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}
