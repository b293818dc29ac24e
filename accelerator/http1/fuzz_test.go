package http1

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

func seed(f *testing.F, add func(in string)) {
	for _, test := range wrongs {
		add(test.in + next)
	}
	for _, test := range rights {
		add(test.in + "\r\n" + test.in)
	}
}

// FuzzSplit: the answer does not depend on the pieces in which the bytes come.
func FuzzSplit(f *testing.F) {
	seed(f, func(in string) { f.Add(in, []byte{3, 1, 40}) })
	f.Fuzz(func(t *testing.T, in string, sizes []byte) {
		i := 0
		ragged := func() int {
			if len(sizes) == 0 {
				return len(in)
			}
			i++
			return int(sizes[i%len(sizes)])
		}
		a, b := follow(in, bytewise), follow(in, ragged)
		if a.out != b.out || a.reason != b.reason {
			t.Fatalf("byte by byte: %q %v\nin pieces: %q %v", a.out, a.reason, b.out, b.reason)
		}
	})
}

// broken is the end of a stream whose next byte is refused.
type broken struct{ Reason }

func (b broken) Read([]byte) (int, error) { return 0, b.Reason }

// FuzzBoundaries: net/http sees the messages that the framer saw, with the same
// ends, and nothing behind them. A head that net/http refuses by itself ends
// the connection; a body that only net/http refused would not, so that never happens.
func FuzzBoundaries(f *testing.F) {
	seed(f, func(in string) { f.Add(in) })
	f.Fuzz(func(t *testing.T, in string) {
		tr := follow(in, bytewise)
		var tail io.Reader = strings.NewReader("")
		if tr.reason != None {
			tail = broken{tr.reason}
			if Reasons[tr.reason].ends == ends400 {
				tail = strings.NewReader(malformed)
			}
		}
		out := strings.NewReader(tr.out)
		buf := bufio.NewReaderSize(io.MultiReader(out, tail), 4096)
		for i, end := range tr.ends {
			req, err := http.ReadRequest(buf)
			if err != nil {
				return // refused by net/http for reasons of its own, such as a bad URL
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				t.Fatalf("message %d of %q: body: %v", i, tr.out, err)
			}
			rest := buf.Buffered() + out.Len()
			if tr.reason != None && Reasons[tr.reason].ends == ends400 && out.Len() == 0 {
				rest = -1 // the malformed line may be in the buffer as well
			}
			if rest >= 0 && len(tr.out)-rest != end {
				t.Fatalf("message %d of %q ends at %d for net/http, at %d here", i, tr.out, len(tr.out)-rest, end)
			}
		}
		req, err := http.ReadRequest(buf)
		if err != nil {
			return
		}
		if tr.reason == BadVersion {
			return // the server answers 505
		}
		if _, err := io.Copy(io.Discard, req.Body); err == nil {
			t.Fatalf("net/http sees a message behind the %d of %q (%v)", len(tr.ends), tr.out, tr.reason)
		}
	})
}

// FuzzHost: what validHost accepts, net/http and url.Parse accept.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"[::1", "a:8x", "a:99999", "[::1%25en0]", "%", "a%4", ":80", "u@a", "a.b:80", "[::1]:80", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !validHost([]byte(s)) {
			return
		}
		if strings.ContainsAny(s, " \t\r\n/?#@\\\"<>^`{|}") {
			t.Fatalf("validHost accepts %q", s)
		}
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: " + s + "\r\n\r\n"))); err != nil {
			t.Fatalf("validHost accepts %q: %v", s, err)
		}
	})
}
