package eventloop

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Connections with deadlines near, far and put off end when it is time, not before
// and not much after, and none is forgotten.
func TestWheel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := wheel{next: numSpokes}
	const many = 2000
	conns := make([]*conn, many)
	for i := range conns {
		conns[i] = &conn{spoke: -1}
		w.set(conns[i], random.Int64N(int64(200*time.Second)))
	}
	ended := 0
	for now := int64(0); now < int64(400*time.Second); now += random.Int64N(int64(300 * time.Millisecond)) {
		if due := w.due(now); due < 0 {
			t.Fatalf("due in %v", due)
		}
		w.turn(now, func(c *conn) {
			if late := now - c.deadline; late < 0 || late > int64(500*time.Millisecond) {
				t.Fatalf("ended %v late", time.Duration(late))
			}
			c.deadline = -1
			ended++
		})
		c := conns[random.IntN(many)]
		switch {
		case c.deadline < 0:
		case random.IntN(4) == 0:
			w.remove(c)
			c.deadline = -1
			ended++
		default:
			w.set(c, now+random.Int64N(int64(100*time.Second)))
		}
	}
	if ended != many {
		t.Errorf("%d of %d ended", ended, many)
	}
	for _, c := range w.spokes {
		if c != nil {
			t.Error("one is left")
		}
	}
}
