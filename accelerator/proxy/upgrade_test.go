package proxy

import (
	"strings"
	"testing"
	"time"
)

const (
	ask  = "GET /chat HTTP/1.1\r\nHost: site\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n"
	sure = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"
)

// TestUpgrade opens a tunnel in which both sides speak at once, behind their
// heads, and which then is silent for longer than all limits.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	early := strings.Repeat("early octets ", 1000) // more than a bufio.Reader holds
	f := startFront(t, &Proxy{IdleTimeout: short, FirstByteTimeout: 10 * short}, rawBackend(t, func(w *wire) {
		head := w.head()
		if !strings.Contains(head, "\r\nUpgrade: WebSocket\r\n") || !strings.Contains(head, "\r\nConnection: Upgrade\r\n") {
			t.Errorf("the backend got %q", head)
		}
		w.send(sure + early)
		if got := w.take(len(early)); got != early {
			t.Errorf("the backend got %.50q", got)
		}
		w.send(w.take(6))
		got, err := w.rest()
		if got != "end" || err != nil {
			t.Errorf("the backend got %q, %v at the end", got, err)
		}
		w.send("last")
	}))
	w := dial(t, f.addr)
	w.send(ask + early)
	head := w.head()
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "\r\nVia: 1.1 ramjet\r\n") || !strings.Contains(head, "\r\nSec-Websocket-Accept: y\r\n") {
		t.Errorf("%q", head)
	}
	if got := w.take(len(early)); got != early {
		t.Errorf("the client got %.50q", got)
	}
	if n := f.Counters.Tunnels(); n != 1 {
		t.Errorf("%d tunnels", n)
	}
	time.Sleep(3 * short)
	w.send("silent")
	if got := w.take(6); got != "silent" {
		t.Errorf("the client got %q", got)
	}
	w.send("end")
	if err := w.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := w.rest(); got != "last" || err != nil {
		t.Errorf("the client got %q, %v at the end", got, err)
	}
	f.counts(t, OK)
}

// TestUpgradeGoesWrong has the upgrades that become no tunnel, and the tunnel
// whose client vanishes.
func TestUpgradeGoesWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer, status string
		event                Event
	}{
		{"another protocol", strings.ReplaceAll(sure, "websocket", "h2c"), "502", BadAnswer},
		{"no protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", "502", BadAnswer},
		{"declined", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "200", OK},
		{"refused", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", "426", OK},
	} {
		closed := make(chan bool)
		f := startFront(t, &Proxy{KeepAlive: short}, rawBackend(t, func(w *wire) {
			w.head()
			w.send(c.answer)
			_, _ = w.rest()
			close(closed)
		}))
		w := dial(t, f.addr)
		w.send(ask)
		if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 "+c.status) {
			t.Errorf("%s: %q", c.name, head)
		}
		f.counts(t, c.event)
		<-closed
	}
}

func TestTunnelClientGone(t *testing.T) {
	closed := make(chan bool)
	f := startFront(t, &Proxy{}, rawBackend(t, func(w *wire) {
		w.head()
		w.send(sure)
		_, _ = w.rest()
		close(closed)
	}))
	w := dial(t, f.addr)
	w.send(ask)
	w.head()
	w.reset()
	<-closed
	f.counts(t, OK)
}
