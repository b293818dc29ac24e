package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What a backend sends behind an answer is never the answer to the next request,
// however soon that comes; and the next request is answered, whatever it is.
func TestUnasked(t *testing.T) {
	t.Parallel()
	const unasked = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
	b := rawBackend(t, func(w *wire) {
		for {
			r, err := http.ReadRequest(w.r)
			if err != nil {
				return
			}
			if n, err := r.Body.Read(make([]byte, 1)); n > 0 {
				for err == nil {
					_, err = r.Body.Read(make([]byte, 1<<10))
				}
			}
			if r.Method == http.MethodHead {
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + unasked)
				continue
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
		}
	})
	f := startFront(t, &Proxy{KeepAlive: patience}, b)
	large := strings.Repeat("x", 2*keepSize)
	for i := range 300 {
		w := dial(t, f.addr)
		w.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
		w.head()
		switch i % 3 {
		case 0:
			w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		case 1:
			w.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		case 2:
			w.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(large), large))
		}
		if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") || !strings.Contains(head, "Content-Length: 4\r\n") {
			t.Fatalf("%d: %q", i, head)
		}
		if body := w.take(4); body != "good" {
			t.Fatalf("%d: %q", i, body)
		}
		_ = w.Close()
	}
}
