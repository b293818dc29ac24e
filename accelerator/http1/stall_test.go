package http1

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStalledBodyEnds(t *testing.T) {
	for _, in := range []string{post("Content-Length: 10") + "abc", chunked("a\r\nabc"), chunked("3\r\nabc\r\n0\r\nX")} {
		var w witness
		b := newBox(t, Limits{BodyStall: 50 * time.Millisecond}, w.ServeHTTP)
		out := b.talk(t, in)
		if seen := w.take(); !strings.HasPrefix(out, "HTTP/1.1 400") || seen != "/p broken" {
			t.Errorf("%q: got %q, the handler saw %s", in, out, seen)
		}
		b.waitRefused(t, BodyStalled)
	}
}

func TestSlowBodyGoesOn(t *testing.T) {
	t.Parallel()
	var w witness
	b := newBox(t, Limits{BodyStall: time.Second}, w.ServeHTTP)
	c := b.dial(t)
	io.WriteString(c, post("Content-Length: 12", "Connection: close"))
	for range 12 { // longer in all than a stall
		time.Sleep(150 * time.Millisecond)
		io.WriteString(c, "x")
	}
	out, err := io.ReadAll(c)
	if err != nil || w.take() != "/p 12" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestLongHandler: behind its body a request may take as long as it likes.
func TestLongHandler(t *testing.T) {
	t.Parallel()
	b := newBox(t, Limits{BodyStall: 20 * time.Millisecond, WriteStall: 20 * time.Millisecond, HeadTime: 500 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			t.Error("the context ended")
		case <-time.After(800 * time.Millisecond):
		}
		io.WriteString(w, "answer to "+r.URL.Path)
	})
	out := b.talk(t, post("Content-Length: 5")+"hello"+post("Content-Length: 5", "Connection: close")+"hello")
	if strings.Count(out, "answer to /p") != 2 {
		t.Errorf("got %q", out)
	}
}

// TestDrippedHeadEnds: the time for a head is bounded as a whole, for the first
// request and for later ones.
func TestDrippedHeadEnds(t *testing.T) {
	t.Parallel()
	b := newBox(t, Limits{HeadTime: 200 * time.Millisecond, IdleTime: 200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {})
	for _, first := range []string{"", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		c := b.dial(t)
		io.WriteString(c, first)
		ended := make(chan bool)
		go func() {
			io.Copy(io.Discard, c)
			close(ended)
		}()
		drip := "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1000)
		for i := 0; ; i++ {
			if i == len(drip) {
				t.Fatalf("%q and a dripped head: still open", first)
			}
			io.WriteString(c, drip[i:i+1])
			select {
			case <-ended:
			case <-time.After(10 * time.Millisecond):
				continue
			}
			break
		}
	}
}

// sources are the two ways of an answer's bytes: a file of the size given, or memory.
func sources(t *testing.T, size int64) map[string]func(http.ResponseWriter) error {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, pattern(size), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]func(http.ResponseWriter) error{
		"file": func(w http.ResponseWriter) error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			return err
		},
		"memory": func(w http.ResponseWriter) error {
			_, err := w.Write(pattern(size))
			return err
		},
		"stream": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(pattern(size))})
			return err
		},
	}
}

func pattern(size int64) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 7 / 5)
	}
	return b
}

func TestDeafClientIsDropped(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than the kernel takes on both sides
	for name, send := range sources(t, size) {
		ended := make(chan error, 1)
		b := newBox(t, Limits{WriteStall: 200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "33554432")
			ended <- send(w)
		})
		io.WriteString(b.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s: all was sent to nobody", name)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the handler still waits", name)
		}
		b.waitRefused(t, WriteStalled)
		eventually(t, "closed", func() bool { return b.Limiter.Open() == 0 })
	}
}

// TestSlowClientGoesOn: a client with a small buffer takes a little at a time.
func TestSlowClientGoesOn(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	for name, send := range sources(t, size) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slowClient(t, size, send)
		})
	}
}

// slowClient takes 60 small pieces, longer in all than three stalls, then the rest.
func slowClient(t *testing.T, size int64, send func(http.ResponseWriter) error) {
	b := newBox(t, Limits{WriteStall: 600 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "8388608")
		if err := send(w); err != nil {
			t.Errorf("the handler: %v", err)
		}
	})
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10)
		})
	}}
	c, err := dialer.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(3 * patience))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	var got bytes.Buffer
	for range 60 {
		time.Sleep(40 * time.Millisecond)
		io.CopyN(&got, c, 4<<10)
	}
	c.(*net.TCPConn).SetReadBuffer(4 << 20)
	io.Copy(&got, c)
	c.Close()
	if _, body, _ := bytes.Cut(got.Bytes(), []byte("\r\n\r\n")); !bytes.Equal(body, pattern(size)) {
		t.Errorf("%d bytes came, or wrong ones", len(body))
	}
}

// countedFile is a file that knows how often it was read by read(2).
type countedFile struct {
	*os.File
	reads *int
}

func (f countedFile) Read(p []byte) (int, error) {
	*f.reads++
	return f.File.Read(p)
}

// TestSendfile: of a large file only the beginning, where net/http looks for
// the type, is read; the rest goes by sendfile.
func TestSendfile(t *testing.T) {
	const size = 16 << 20
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, pattern(size), 0o600); err != nil {
		t.Fatal(err)
	}
	reads := 0
	b := newBox(t, Limits{}, func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(name)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		http.ServeContent(w, r, "file", time.Time{}, countedFile{f, &reads})
	})
	out := b.talk(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if _, body, _ := strings.Cut(out, "\r\n\r\n"); body != string(pattern(size)) {
		t.Errorf("%d bytes came, or wrong ones", len(body))
	}
	if reads > 3 {
		t.Errorf("the file was read %d times: no sendfile", reads)
	}
}
