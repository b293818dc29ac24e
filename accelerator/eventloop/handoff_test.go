package eventloop

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/connlimit"
)

// pair returns both ends of a connection, that of the server as a loop has it.
func pair(t *testing.T) (client *net.TCPConn, fd int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, _, errno := accept(int(file.Fd()))
	if errno != 0 {
		t.Fatal(errno)
	}
	return c.(*net.TCPConn), fd
}

// A connection that its client resets in the queue has no address any more, and is
// nothing that the complete tier could serve. The next one is.
func TestResetInTheQueue(t *testing.T) {
	limiter := connlimit.New(0, 0)
	h := &Handoff{limiter: limiter, queue: make(chan handed, 2), closed: make(chan struct{})}
	rude, reset := pair(t)
	rude.SetLinger(0)
	rude.Close()
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := unix.Getpeername(reset); errors.Is(err, unix.ENOTCONN) {
			break
		}
	}
	_, whole := pair(t)
	from := netip.MustParseAddr("127.0.0.1")
	for _, fd := range []int{reset, whole} {
		if !limiter.Reserve() || !limiter.Admit(from) {
			t.Fatal("no room")
		}
		h.queue <- handed{fd: fd, from: from, unread: []byte("GET")}
	}
	c, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr() == nil {
		t.Error("a connection without an address")
	}
	if n := limiter.Open(); n != 1 {
		t.Errorf("%d connections are counted", n)
	}
}
