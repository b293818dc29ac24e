package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestScripts runs the scripts of testdata against the program. Its README
// describes them.
func TestScripts(t *testing.T) {
	sites, err := readSites("testdata/site.list")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, files := range sites {
		if err := writeSite(filepath.Join(root, name), files); err != nil {
			t.Fatal(err)
		}
	}
	// A file that changed a moment ago counts as half written.
	time.Sleep(200 * time.Millisecond)
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		s, err := parseScript(name)
		if err != nil {
			t.Error(err)
			continue
		}
		files, ok := sites[s.site]
		if !ok {
			t.Errorf("%s: no site %q in site.list", name, s.site)
			continue
		}
		for _, setup := range s.setups {
			for tiers, setting := range tiers {
				t.Run(strings.TrimSuffix(filepath.Base(name), ".txt")+"/"+setup+"/"+tiers, func(t *testing.T) {
					t.Parallel()
					s.run(t, startSetup(t, setup, setting, filepath.Join(root, s.site)), files)
				})
			}
		}
	}
}

// tiers are the ways that a request may go: every case must come to the same
// through the event loops and without them.
var tiers = map[string]string{
	"loops":    `"eventloop": {"disabled": false},`,
	"complete": `"eventloop": {"disabled": true},`,
}

// run runs all cases against the program.
func (s *script) run(t *testing.T, p *process, files []siteFile) {
	var group sync.WaitGroup
	for _, c := range s.cases {
		t.Run(c.name, func(inner *testing.T) {
			if s.together { // Reported by the outer test, for this one ends at once.
				group.Go(func() { c.run(t, p, files) })
				return
			}
			c.run(inner, p, files)
		})
	}
	group.Wait()
}

func (c *scriptCase) run(t *testing.T, p *process, files []siteFile) {
	r := &runner{address: p.listen, program: p, files: contents(files), kept: map[string]string{}}
	if err := r.run(c.steps); err != nil {
		t.Errorf("%s: %s\n%v\n--- sent ---\n%.400q\n--- last answer ---\n%v", c.at, c.name, err, r.sent.String(), r.last)
	}
}

// startSetup starts the program with testdata/NAME.json and one more setting. In
// the file {farm} and {nobody} stand for addresses.
func startSetup(t *testing.T, name, setting, root string) *process {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(text), "{", "{"+setting, 1)
	if strings.Contains(config, "{farm}") {
		config = strings.ReplaceAll(config, "{farm}", startFarm(t, "testdata/farm.list"))
	}
	if strings.Contains(config, "{nobody}") {
		config = strings.ReplaceAll(config, "{nobody}", deadAddress(t))
	}
	file := filepath.Join(t.TempDir(), "ramjet.json")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return start(t, "-config", file, "-root", root)
}

// runner runs a case.
type runner struct {
	address string
	program *process
	files   map[string][]byte // of the site
	kept    map[string]string

	conn    net.Conn
	in      *bufio.Reader
	pending strings.Builder // to be sent before the next wait or answer
	sent    strings.Builder // all that was sent
	methods []string        // of requests not yet answered
	gets    []string        // requests to try with HEAD
	sentAt  time.Time       // when the last of it was
	took    time.Duration   // from then until the last answer
	last    *answer
}

// run runs the steps on a new connection. The error says at which line.
func (r *runner) run(steps []step) (err error) {
	if err := r.connect(); err != nil {
		return err
	}
	defer func() { r.conn.Close() }()
	for _, s := range steps {
		if err := r.step(s); err != nil {
			return fmt.Errorf("%s: %w", s.at, err)
		}
	}
	if err := r.flush(); err != nil {
		return err
	}
	if n := r.in.Buffered(); n > 0 {
		extra, _ := r.in.Peek(n)
		return fmt.Errorf("bytes behind the last answer: %.200q", extra)
	}
	return nil
}

func (r *runner) connect() (err error) {
	if r.conn != nil {
		r.conn.Close()
	}
	r.methods = nil
	if r.conn, err = net.Dial("tcp", r.address); err != nil {
		return err
	}
	r.in = bufio.NewReader(r.conn)
	return r.conn.SetDeadline(time.Now().Add(patience))
}

func (r *runner) step(s step) error {
	if s.what != stepSend {
		if err := r.flush(); err != nil {
			return err
		}
	}
	switch s.what {
	case stepSend:
		text, err := expand(s.text, r.kept)
		r.pending.WriteString(text)
		return err
	case stepWait:
		time.Sleep(s.pause)
		return nil
	case stepReconnect:
		return r.connect()
	case stepAnswer:
		return r.answer(s)
	case stepRaw:
		return r.raw(s.text)
	case stepClosed:
		return r.closed()
	case stepOpen:
		return r.open()
	case stepBroken:
		return r.broken()
	case stepLog:
		want, err := expand(s.text, r.kept)
		if err != nil {
			return err
		}
		return r.program.waitLogged(want)
	case stepHead:
		return r.headEqualsGet()
	default:
		return fmt.Errorf("a client cannot %q", s.what)
	}
}

// requestLine finds the methods of what is sent.
var requestLine = regexp.MustCompile(`(?m)^([!-~]+) [^\r\n]* HTTP/\d\.\d\r?$`)

// flush sends what is pending.
func (r *runner) flush() error {
	text := r.pending.String()
	if text == "" {
		return nil
	}
	r.pending.Reset()
	r.sent.WriteString(text)
	for _, m := range requestLine.FindAllStringSubmatch(text, -1) {
		r.methods = append(r.methods, m[1])
	}
	if strings.HasPrefix(text, "GET ") {
		r.gets = append(r.gets, text)
	}
	r.sentAt = time.Now()
	// A server may refuse before it has all; the answer tells.
	if _, err := io.WriteString(r.conn, text); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return nil
}

// answer reads an answer and looks at it.
func (r *runner) answer(s step) error {
	method := "GET"
	if len(r.methods) > 0 {
		method = r.methods[0]
	}
	a, err := readAnswer(r.in, method)
	r.last, r.took = a, time.Since(r.sentAt)
	if err != nil {
		return fmt.Errorf("%s was expected: %w", s.text, err)
	}
	if a.status >= 200 && len(r.methods) > 0 {
		r.methods = r.methods[1:]
	}
	if err := a.judge(); err != nil {
		return err
	}
	if !strings.Contains(s.text, fmt.Sprint(a.status)) {
		return fmt.Errorf("%s was expected and %d came", s.text, a.status)
	}
	for _, e := range s.expect {
		if err := r.meet(a, e, s.expect); err != nil {
			return fmt.Errorf("%s: %w", e.at, err)
		}
	}
	return nil
}

// raw reads bytes that are not HTTP.
func (r *runner) raw(text string) error {
	want, err := quoted(text, r.kept)
	if err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r.in, got); err != nil || string(got) != want {
		return fmt.Errorf("%q was expected and %q came, %v", want, got[:n], err)
	}
	return nil
}

// closed wants the connection to be closed with nothing more said.
func (r *runner) closed() error {
	rest, err := io.ReadAll(r.in)
	switch {
	case len(rest) > 0:
		return fmt.Errorf("the connection was to be closed and %.300q came", rest)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the connection stays open")
	case errors.Is(err, syscall.ECONNRESET):
		return nil // Something was still on its way to it.
	default:
		return err
	}
}

// broken wants an answer that breaks off, if it begins at all, so that nobody
// takes it for whole.
func (r *runner) broken() error {
	var err error
	r.last, err = readAnswer(r.in, "GET")
	switch {
	case err == nil:
		return errors.New("the answer came as if it were whole")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return nil
	}
	return err
}

// open wants the connection to serve another request.
func (r *runner) open() error {
	if _, err := io.WriteString(r.conn, "OPTIONS * HTTP/1.1\r\nHost: open\r\n\r\n"); err != nil {
		return err
	}
	if _, err := readAnswer(r.in, "OPTIONS"); err != nil {
		return fmt.Errorf("the connection does not serve another request: %w", err)
	}
	return nil
}
