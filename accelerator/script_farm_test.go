package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startFarm starts the server behind: it answers as farm.list says, and at every
// other path with the request that it received, as text. It knows no more of
// HTTP than that, so that what arrives is what was sent.
func startFarm(t *testing.T, list string) (address string) {
	t.Helper()
	s := &script{}
	if err := s.read(list); err != nil {
		t.Fatal(err)
	}
	canned := map[string][]step{}
	for _, c := range s.cases {
		canned[c.name] = c.steps
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for farmExchange(conn, r, canned) == nil {
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// farmExchange reads one request and answers it. An error ends the connection.
func farmExchange(conn net.Conn, r *bufio.Reader, canned map[string][]step) error {
	line, err := readLine(r)
	if err != nil {
		return err
	}
	fields, err := readFields(r)
	if err != nil {
		return err
	}
	if len(valuesOf(fields, "Expect")) > 0 {
		if _, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	method, rest, _ := strings.Cut(line, " ")
	path, _, _ := strings.Cut(rest, " ")
	path, _, _ = strings.Cut(path, "?")
	if steps, ok := canned[path]; ok {
		return farmSteps(conn, r, steps)
	}
	body, trailer, err := farmBody(r, fields)
	if err != nil {
		return err
	}
	var echo strings.Builder
	fmt.Fprintf(&echo, "%s\r\n", line)
	for _, f := range append(fields, trailer...) {
		fmt.Fprintf(&echo, "%s: %s\r\n", f.name, f.value)
	}
	fmt.Fprintf(&echo, "\r\n%s", body)
	text := echo.String()
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Farm: echo\r\nContent-Length: %d\r\n\r\n", len(text))
	if method == "HEAD" {
		text = ""
	}
	_, err = io.WriteString(conn, head+text)
	return err
}

// farmBody reads the body of a request; the fields of a trailer get "Trailer-"
// before their names.
func farmBody(r *bufio.Reader, fields []field) (body []byte, trailer []field, err error) {
	if codings := valuesOf(fields, "Transfer-Encoding"); len(codings) > 0 {
		body, trailer, err = readChunks(r)
		for i := range trailer {
			trailer[i].name = "Trailer-" + trailer[i].name
		}
		return body, trailer, err
	}
	if lengths := valuesOf(fields, "Content-Length"); len(lengths) > 0 {
		n, err := strconv.Atoi(lengths[0])
		if err != nil {
			return nil, nil, err
		}
		body = make([]byte, n)
		_, err = io.ReadFull(r, body)
		return body, nil, err
	}
	return nil, nil, nil
}

// farmSteps answers as farm.list says.
func farmSteps(conn net.Conn, r *bufio.Reader, steps []step) error {
	for _, s := range steps {
		switch s.what {
		case stepSend:
			text, err := expand(s.text, nil)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(conn, text); err != nil {
				return err
			}
		case stepWait:
			time.Sleep(s.pause)
		case stepEcho:
			_, err := io.Copy(conn, r)
			return err
		case stepClose:
			return io.EOF
		default:
			return fmt.Errorf("a farm cannot %q", s.what)
		}
	}
	return nil
}

// deadAddress is an address that refuses connections: its port is taken, so that
// nobody else is given it, and nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}
