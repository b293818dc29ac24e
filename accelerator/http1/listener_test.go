package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/connlimit"
)

func TestConnectionsAboveTheLimitWait(t *testing.T) {
	b := newLimitedBox(t, 2, Limits{}, func(w http.ResponseWriter, r *http.Request) {})
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	first, second, third := b.dial(t), b.dial(t), b.dial(t)
	for _, c := range []net.Conn{first, second} {
		io.WriteString(c, get)
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(third, get)
	third.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("the third connection got %d bytes", n)
	}
	if n := b.Limiter.Open(); n != 2 {
		t.Errorf("%d connections are open", n)
	}
	first.Close()
	third.SetReadDeadline(time.Now().Add(patience))
	if _, err := http.ReadResponse(bufio.NewReader(third), nil); err != nil {
		t.Errorf("the third connection, with a slot free: %v", err)
	}
}

func TestCloseEndsAccept(t *testing.T) {
	for _, full := range []bool{false, true} {
		tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		l := &Listener{Listener: tcp, Limiter: connlimit.New(1, 0)}
		if full {
			(&box{l, tcp.Addr().String()}).dial(t)
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		time.Sleep(10 * time.Millisecond)
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
	}
}

// TestConnOutsideServer uses a connection by itself: every way to read it is checked.
func TestConnOutsideServer(t *testing.T) {
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: tcp, Limiter: connlimit.New(0, 0)}
	defer l.Close()
	io.WriteString((&box{l, tcp.Addr().String()}).dial(t), "GET / HTTP/1.1\r\nHost : a\r\n\r\n"+next)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got strings.Builder
	_, err = io.Copy(&got, c)
	if want := "GET / HTTP/1.1\r\nHost" + malformed; got.String() != want || !errors.Is(err, errRefused) {
		t.Errorf("read %q, %v; want %q", got.String(), err, want)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errRefused) {
		t.Errorf("behind it read %d bytes, %v", n, err)
	}
}

// TestNoFileDescriptors: accepting fails as long as the process has no file
// descriptor left, and goes on afterwards.
func TestNoFileDescriptors(t *testing.T) {
	b := newBox(t, Limits{}, func(w http.ResponseWriter, r *http.Request) {})
	b.dial(t) // whatever the first use of the network opens is open now
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	port := b.Addr().(*net.TCPAddr).Port
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two failed attempts", func() bool { return b.Stats.AcceptErrors.Load() >= 2 })
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection accepted", func() bool { return b.Stats.Accepted.Load() == 2 })
}
