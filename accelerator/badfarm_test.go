package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The times of the program that has a bad farm behind it. A wait of a backend is
// well inside of them, or ends with them.
const (
	badFirstByte = 400 * time.Millisecond
	badIdle      = 400 * time.Millisecond
	badDrip      = 100 * time.Millisecond
)

// badBackend is a server that does on each connection what the case that a
// request is for wants: a request for /NAME is for the case of that name. What is
// asked for below /well/ it answers well, with the target, and the number of the
// connection.
type badBackend struct {
	address string

	mu    sync.Mutex
	conns int                 // guarded by mu
	seen  map[string][]string // guarded by mu: by case, the requests that came: method and number of the connection
}

// badConn is a connection to it.
type badConn struct {
	*net.TCPConn
	in     *bufio.Reader
	number int
	asked  int // requests so far, this one included
}

// send sends all of it, or as much as is taken.
func (c *badConn) send(text string) { _, _ = io.WriteString(c, text) }

// stay waits for the other side to close.
func (c *badConn) stay() { _, _ = io.Copy(io.Discard, c.in) }

// reset closes with a RST.
func (c *badConn) reset() {
	time.Sleep(badDrip) // A reset overtakes what was sent.
	_ = c.SetLinger(0)
	_ = c.Close()
}

// drip sends pieces one by one, each in time.
func (c *badConn) drip(pieces ...string) {
	for _, piece := range pieces {
		c.send(piece)
		time.Sleep(badDrip)
	}
}

// bytewise is a text as pieces of one byte.
func bytewise(text string) []string { return strings.Split(text, "") }

// flood sends a text until nobody wants it.
func (c *badConn) flood(text string) {
	text = strings.Repeat(text, 1+4096/len(text))
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func startBadBackend(t *testing.T, cases []badCase) *badBackend {
	t.Helper()
	b := &badBackend{seen: map[string][]string{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = listener.Addr().String()
	var open sync.WaitGroup
	t.Cleanup(func() { listener.Close(); open.Wait() })
	open.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns++
			number := b.conns
			b.mu.Unlock()
			open.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				conn := &badConn{TCPConn: c.(*net.TCPConn), in: bufio.NewReader(c), number: number}
				for b.exchange(conn, cases) {
				}
			})
		}
	})
	return b
}

// exchange reads a request and does what its case says. It tells whether another
// request may follow.
func (b *badBackend) exchange(c *badConn, cases []badCase) (open bool) {
	line, err := readLine(c.in)
	if err != nil {
		return false
	}
	fields, err := textproto.NewReader(c.in).ReadMIMEHeader()
	if err != nil {
		return false
	}
	c.asked++
	method, rest, _ := strings.Cut(line, " ")
	target, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(fields.Get("Content-Length"))
	if _, err := io.CopyN(io.Discard, c.in, int64(n)); err != nil {
		return false
	}
	name := strings.TrimPrefix(target, "/")
	b.mu.Lock()
	b.seen[name] = append(b.seen[name], fmt.Sprintf("%s %d", method, c.number))
	b.mu.Unlock()
	if strings.HasPrefix(target, "/well/") {
		body := fmt.Sprintf("%s %d", target, c.number)
		c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		return true
	}
	i := slices.IndexFunc(cases, func(k badCase) bool { return k.name == name })
	if i < 0 {
		return false
	}
	return cases[i].serve(c)
}

// requests are those that came for a case.
func (b *badBackend) requests(name string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen[name])
}

// What a client may get: an answer of one of these kinds, and no other.
const (
	badGateway = "502 with a page"
	timedOut   = "504 with a page"
	broken     = "an answer that breaks off"
	whole      = "a whole answer"
)

// badCase is one way in which a backend misbehaves.
type badCase struct {
	name   string // its path, too
	method string // "" is GET
	serve  func(c *badConn) (open bool)
	want   string        // one of the above, or several with " or " between
	body   string        // of a whole answer
	status int           // of a whole answer, 0 for 200
	event  string        // the outcome that is counted, or several with " or " between
	failed bool          // the backend is to blame for it
	waits  time.Duration // for the backend, or until it is given up
	times  int           // how often the request came to the backend after its first; 0: not looked at
}

// then sends a text and closes.
func then(text string) func(*badConn) bool {
	return func(c *badConn) bool { c.send(text); return false }
}

// keeping sends a text and serves on.
func keeping(text string) func(*badConn) bool {
	return func(c *badConn) bool { c.send(text); return true }
}

// stalling sends a text and then nothing.
func stalling(text string) func(*badConn) bool {
	return func(c *badConn) bool { c.send(text); c.stay(); return false }
}

// resetting sends a text and breaks off with a RST.
func resetting(text string) func(*badConn) bool {
	return func(c *badConn) bool { c.send(text); c.reset(); return false }
}

// dying closes the connection at its second request, which is kept open by a whole
// answer to the first: as one whose time has passed just then. On a new connection
// it answers.
func dying(c *badConn) bool {
	if c.asked > 1 {
		return false
	}
	c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh")
	return true
}

const (
	lengthHead  = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	// poison is the answer that a backend sends unasked: nobody may get it.
	poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
)

var badCases = []badCase{
	{name: "closes-before-the-head", serve: then(""), want: badGateway, event: "bad_answer", failed: true},
	{name: "resets-before-the-head", serve: resetting(""), want: badGateway, event: "bad_answer", failed: true, waits: badDrip},
	{name: "closes-in-the-head", serve: then("HTTP/1.1 200 OK\r\nContent-Le"), want: badGateway, event: "bad_answer", failed: true},
	{name: "resets-in-the-head", serve: resetting("HTTP/1.1 200 OK\r\nContent-Le"), want: badGateway, event: "bad_answer", failed: true, waits: badDrip},
	{name: "closes-in-the-body", serve: then(lengthHead + "12345"), want: broken, event: "backend_aborted", failed: true},
	{name: "resets-in-the-body", serve: resetting(lengthHead + "12345"), want: broken, event: "backend_aborted", failed: true, waits: badDrip},
	{name: "resets-in-a-chunk", serve: resetting(chunkedHead + "a\r\n12345"), want: broken, event: "backend_aborted", failed: true, waits: badDrip},
	{name: "closes-between-chunks", serve: then(chunkedHead + "5\r\n12345\r\n"), want: broken, event: "backend_aborted", failed: true},
	{name: "closes-in-the-trailer", serve: then(chunkedHead + "5\r\n12345\r\n0\r\nX-T: 1\r\n"), want: broken, event: "backend_aborted", failed: true},
	{name: "longer-than-promised", serve: keeping(lengthHead + "1234567890" + poison), want: whole, body: "1234567890", event: "ok"},
	{name: "longer-than-chunked", serve: keeping(chunkedHead + "5\r\n12345\r\n0\r\n\r\n" + poison), want: whole, body: "12345", event: "ok"},
	{name: "chunk-size-of-letters", serve: keeping(chunkedHead + "5\r\n12345\r\nxyz\r\n" + poison), want: broken, event: "backend_aborted", failed: true},
	{name: "chunk-size-negative", serve: keeping(chunkedHead + "5\r\n12345\r\n-5\r\n" + poison), want: broken, event: "backend_aborted", failed: true},
	{name: "chunk-size-too-large", serve: keeping(chunkedHead + "5\r\n12345\r\n1" + strings.Repeat("0", 16) + "\r\n" + poison), want: broken, event: "backend_aborted", failed: true},
	{name: "chunk-longer-than-its-size", serve: keeping(chunkedHead + "5\r\n1234567\r\n0\r\n\r\n" + poison), want: broken, event: "backend_aborted", failed: true},
	{name: "chunk-line-without-end", serve: func(c *badConn) bool { c.send(chunkedHead); c.flood("1"); return false },
		want: broken, event: "backend_aborted", failed: true},
	{name: "both-framings", serve: keeping("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"),
		want: badGateway + " or " + whole, body: "12345", event: "ok or bad_answer"},
	{name: "both-framings-that-differ", serve: keeping("HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n" + poison),
		want: badGateway + " or " + whole, body: "12345", event: "ok or bad_answer"},
	{name: "two-codings", serve: keeping("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"),
		want: badGateway, event: "bad_answer", failed: true},
	{name: "flood-of-103", serve: func(c *badConn) bool { c.flood("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"); return false },
		want: badGateway, event: "bad_answer", failed: true},
	{name: "flood-of-100", serve: func(c *badConn) bool { c.flood("HTTP/1.1 100 Continue\r\n\r\n"); return false },
		want: badGateway, event: "bad_answer", failed: true},
	{name: "head-without-end", serve: func(c *badConn) bool { c.send("HTTP/1.1 200 OK\r\n"); c.flood("X-Endless: yes\r\n"); return false },
		want: badGateway, event: "bad_answer", failed: true},
	{name: "field-without-end", serve: func(c *badConn) bool { c.send("HTTP/1.1 200 OK\r\nX-Endless: "); c.flood("x"); return false },
		want: badGateway, event: "bad_answer", failed: true},
	{name: "status-line-without-end", serve: func(c *badConn) bool { c.send("HTTP/1.1 200 "); c.flood("O"); return false },
		want: badGateway, event: "bad_answer", failed: true},
	{name: "accepts-and-never-answers", serve: stalling(""), want: timedOut, event: "first_byte_timeout", failed: true, waits: badFirstByte},
	{name: "head-too-late", serve: func(c *badConn) bool { time.Sleep(2 * badFirstByte); c.send(poison); return true },
		want: timedOut, event: "first_byte_timeout", failed: true, waits: badFirstByte},
	{name: "head-that-stalls", serve: stalling("HTTP/1.1 200 OK\r\n"), want: timedOut, event: "first_byte_timeout", failed: true, waits: badFirstByte},
	{name: "head-that-drips", serve: func(c *badConn) bool { c.drip(bytewise(lengthHead)...); return false }, want: timedOut, event: "first_byte_timeout", failed: true, waits: badFirstByte},
	{name: "body-that-drips", serve: func(c *badConn) bool { c.send(lengthHead); c.drip(bytewise("1234567890")...); return true },
		want: whole, body: "1234567890", event: "ok", waits: 9 * badDrip},
	{name: "chunks-that-drip", serve: func(c *badConn) bool {
		c.send(chunkedHead)
		c.drip("1\r\n1\r\n", "1\r\n2\r\n", "1\r\n3", "\r\n1\r\n4\r\n", "1\r", "\n5", "\r\n0\r\n\r\n")
		return true
	},
		want: whole, body: "12345", event: "ok", waits: 6 * badDrip},
	{name: "body-that-stalls", serve: stalling(lengthHead + "12345"), want: broken, event: "backend_stalled", failed: true, waits: badIdle},
	{name: "chunks-that-stall", serve: stalling(chunkedHead + "5\r\n12345\r\n"), want: broken, event: "backend_stalled", failed: true, waits: badIdle},
	{name: "body-for-head", method: "HEAD", serve: keeping(lengthHead + "1234567890" + poison), want: whole, event: "ok"},
	{name: "chunks-for-head", method: "HEAD", serve: keeping(chunkedHead + "5\r\n12345\r\n0\r\n\r\n" + poison), want: whole, event: "ok"},
	{name: "body-with-204", serve: keeping("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n123456" + poison), want: whole, status: 204, event: "ok"},
	{name: "chunks-with-204", serve: keeping("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n" + poison),
		want: whole + " or " + badGateway, status: 204, event: "ok or bad_answer"},
	{name: "body-with-304", serve: keeping("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n123456" + poison), want: whole, status: 304, event: "ok"},
	{name: "answers-before-it-is-asked", serve: keeping("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + strings.Repeat(poison, 100)), want: whole, body: "ok", event: "ok"},
	{name: "dies-at-a-get", serve: dying, want: whole, body: "fresh", event: "ok", times: 2},
	{name: "dies-at-a-post", method: "POST", serve: dying, want: badGateway, event: "bad_answer", failed: true, times: 1},
}

// A server that comes and goes does no harm beside one that stays: no request fails.
func TestFlappingBackend(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1000)) }
	stays := httptest.NewServer(http.HandlerFunc(page))
	t.Cleanup(stays.Close)
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.3:0") // Where nobody else is given its port.
			if err != nil {
				t.Fatal(err)
			}
			address := listener.Addr().String()
			dir := t.TempDir()
			p := start(t, "-config", write(t, dir, "ramjet.json", `{`+setting+`
				"admin": "a.sock",
				"backends": [{"url": "http://`+address+`"}, {"url": "`+stays.URL+`"}],
				"forward": {"retry_share": 100},
				"health": {"interval": "100ms", "rise": 1, "fall": 1},
				"ejection": {"failures": 2, "time": "100ms"},
			}`))
			load := loadFarm(p, 4)
			for range 8 {
				server := &http.Server{Handler: http.HandlerFunc(page)}
				go func() { _ = server.Serve(listener) }()
				time.Sleep(150 * time.Millisecond)
				server.Close() // Cuts what is in flight.
				time.Sleep(150 * time.Millisecond)
				if listener, err = net.Listen("tcp", address); err != nil {
					t.Fatal(err)
				}
			}
			listener.Close()
			if failed := load.end(); len(failed) > 0 || load.asked.Load() == 0 {
				t.Errorf("%d of %d requests failed, the first: %v", len(failed), load.asked.Load(), failed[0])
			}
			_, text := adminClient(t, dir+"/a.sock")("GET", "/metrics")
			for _, m := range regexp.MustCompile(`(?m)^ramjet_backend_requests_total.* (\d+)$`).FindAllStringSubmatch(text, -1) {
				if n, _ := strconv.Atoi(m[1]); n < 8 {
					t.Errorf("a backend had only %d requests", n)
				}
			}
		})
	}
}

// Whatever a backend does, the client gets a whole answer, a page that says 502 or
// 504, or one that breaks off and cannot be taken for whole; in time; and nobody
// gets the answer of another.
func TestBadBackend(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			backend := startBadBackend(t, badCases)
			dir := t.TempDir()
			p := start(t, "-config", write(t, dir, "ramjet.json", `{`+setting+`
				"admin": "a.sock",
				"backends": [{"url": "http://`+backend.address+`"}],
				"forward": {"first_byte_timeout": "`+badFirstByte.String()+`", "idle_timeout": "`+badIdle.String()+`"},
				"health": {"check": "off"},
			}`))
			r := &badRunner{t: t, backend: backend, program: p, ask: adminClient(t, dir+"/a.sock")}
			for _, c := range badCases {
				t.Run(c.name, func(t *testing.T) {
					took := r.run(t, c)
					for range 2 { // A busy machine is late, but not each time.
						if took > c.waits+time.Second {
							took = r.run(t, c)
						}
					}
					if took > c.waits+time.Second || took < c.waits*9/10 {
						t.Errorf("it took %v, want %v", took, c.waits)
					}
				})
			}
		})
	}
}

// badRunner runs the cases one after the other, for it compares what is counted.
type badRunner struct {
	t       *testing.T
	backend *badBackend
	program *process
	ask     func(method, path string, body ...string) (int, string)
}

// run returns how long the client waited.
func (r *badRunner) run(t *testing.T, c badCase) (took time.Duration) {
	if c.times > 0 {
		r.ready(t, c)
	}
	came := len(r.backend.requests(c.name))
	before := r.counts(t)
	conn, err := net.Dial("tcp", r.program.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	began := time.Now()
	got := r.request(t, conn, in, c)
	took = time.Since(began)
	if !slices.Contains(strings.Split(c.want, " or "), got) {
		t.Errorf("%s was expected, and %s came", c.want, got)
	}
	// On the same connection if it is still there, and on others.
	if got != broken {
		r.well(t, c, conn, in)
	}
	for range 3 {
		r.well(t, c, nil, nil)
	}
	if n := len(r.backend.requests(c.name)) - came; c.times > 0 && n != c.times {
		t.Errorf("the request came to the backend %d times, want %d: %v", n, c.times, r.backend.requests(c.name))
	}
	r.settled(t, c, before)
	return took
}

// request sends the request of a case and says what came.
func (r *badRunner) request(t *testing.T, conn net.Conn, in *bufio.Reader, c badCase) string {
	t.Helper()
	method, length := c.method, ""
	if method == "" {
		method = "GET"
	}
	if method == "POST" {
		length = "Content-Length: 4\r\n"
	}
	text := method + " /" + c.name + " HTTP/1.1\r\nHost: example\r\n" + length + "\r\n"
	if length != "" {
		text += "body"
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(in, method)
	for err == nil && a.status/100 == 1 {
		a, err = readAnswer(in, method)
	}
	wantStatus := c.status
	if wantStatus == 0 {
		wantStatus = 200
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return broken
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.Fatalf("no end of the answer in %v", patience)
	case err != nil:
		t.Fatalf("a malformed answer: %v\n%v", err, a)
	case a.status == 502 || a.status == 504:
		if !strings.Contains(string(a.body), strconv.Itoa(a.status)) || len(a.values("Content-Type")) != 1 {
			t.Errorf("no page: %v", a)
		}
		if a.status == 502 {
			return badGateway
		}
		return timedOut
	case a.status != wantStatus || string(a.body) != c.body:
		t.Errorf("not what was sent: %v", a)
	}
	return whole
}

// well sends a request that the backend answers well, on a connection or on a new
// one, and wants its own answer. A connection that was closed is none.
func (r *badRunner) well(t *testing.T, c badCase, conn net.Conn, in *bufio.Reader) {
	t.Helper()
	kept := conn != nil
	if !kept {
		var err error
		if conn, err = net.Dial("tcp", r.program.listen); err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		in = bufio.NewReader(conn)
	}
	target := "/well/" + strconv.Itoa(time.Now().Nanosecond()) + "/" + c.name
	_, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: example\r\n\r\n")
	var a *answer
	if err == nil {
		a, err = readAnswer(in, "GET")
	}
	switch {
	case kept && a == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)):
	case err != nil:
		t.Errorf("the next request: %v", err)
	case a.status != 200 || !strings.HasPrefix(string(a.body), target+" "):
		t.Errorf("the next request got what is not its own: %v", a)
	}
}

// ready sees to it that the next request meets a connection that dies with it.
func (r *badRunner) ready(t *testing.T, c badCase) {
	t.Helper()
	// The first request is answered on a connection of its own, and the connection
	// kept; those of the cases before are used or closed by then.
	for range 20 {
		conn, err := net.Dial("tcp", r.program.listen)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		got := r.request(t, conn, bufio.NewReader(conn), badCase{name: c.name, body: "fresh"})
		conn.Close()
		if got == whole {
			return
		}
	}
	t.Fatal("no connection to the backend is kept")
}

// badCounts is what the program says of the farm.
type badCounts struct {
	events             map[string]int
	failures, inFlight int
}

var countedForm = regexp.MustCompile(`(?m)^ramjet_(?:forward_events_total\{event="(\w+)",pool="default"\}|(backend_failures_total|backend_in_flight)\{[^}]*\}) (\d+)$`)

func (r *badRunner) counts(t *testing.T) badCounts {
	t.Helper()
	_, text := r.ask("GET", "/metrics")
	n := badCounts{events: map[string]int{}}
	for _, m := range countedForm.FindAllStringSubmatch(text, -1) {
		value, _ := strconv.Atoi(m[3])
		switch m[2] {
		case "":
			n.events[m[1]] = value
		case "backend_failures_total":
			n.failures = value
		default:
			n.inFlight = value
		}
	}
	return n
}

// settled wants the counters to say what happened, a moment later: the outcome of
// the case, and OK of what was asked for afterwards.
func (r *badRunner) settled(t *testing.T, c badCase, before badCounts) {
	t.Helper()
	var wrong string
	for deadline := time.Now().Add(patience / 8); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if wrong = c.judge(before, r.counts(t)); wrong == "" {
			return
		}
	}
	t.Error(wrong)
}

func (c badCase) judge(before, after badCounts) string {
	if after.inFlight != 0 {
		return fmt.Sprintf("%d requests are still in flight", after.inFlight)
	}
	outcomes := map[string]int{}
	for event, n := range after.events {
		if n -= before.events[event]; n > 0 {
			outcomes[event] = n
		}
	}
	happened := false
	for _, event := range strings.Split(c.event, " or ") {
		happened = happened || event == "ok" && outcomes["ok"] >= 4 || event != "ok" && outcomes[event] == 1
	}
	if !happened {
		return fmt.Sprintf("%s was expected, and these were counted: %v", c.event, outcomes)
	}
	if failures := after.failures - before.failures; c.failed && failures != 1 || !c.failed && failures > 0 && c.event == "ok" {
		return fmt.Sprintf("%d failures of the backend, with %v", failures, outcomes)
	}
	return ""
}
