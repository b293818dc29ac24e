package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Behind a proxy of TCP connections the client that it names is the client: in the
// access log, and for the farm; through the loops and without them.
func TestBehindProxy(t *testing.T) {
	t.Parallel()
	for _, disabled := range []bool{false, true} {
		dir := t.TempDir()
		write(t, dir, "site/page", "hello")
		farm := startTellTale(t)
		front := start(t, "-config", write(t, dir, "front.json", fmt.Sprintf(`{
			"proxy_protocol_from": ["127.0.0.5"], "content": {"root": "site"}, "eventloop": {"disabled": %v}, "rules": {"unknown_type": "text/plain"},
			"backends": [{"url": "http://%s"}], "access_log": {"format": "common"}}`, disabled, farm)))
		ask := func(from, header, path string) string {
			t.Helper()
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			c, err := d.Dial("tcp", front.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(c, "%sGET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", header, path)
			answer, _ := io.ReadAll(c)
			return string(answer)
		}
		const header = "PROXY TCP6 2001:db8::7 2001:db8::1 56324 80\r\n"
		if got := ask("127.0.0.5", header, "/page"); !strings.HasSuffix(got, "\r\n\r\nhello") {
			t.Errorf("%q", got)
		}
		front.wait("2001:db8::7 - - [")
		if got := ask("127.0.0.5", header, "/dynamic?"); !strings.HasSuffix(got, "\r\n\r\n2001:db8::7") {
			t.Errorf("%q", got)
		}
		if got := ask("127.0.0.5", "", "/page"); got != "" {
			t.Errorf("without a header: %q", got)
		}
		if got := ask("127.0.0.1", "", "/page"); !strings.HasSuffix(got, "\r\n\r\nhello") {
			t.Errorf("from elsewhere: %q", got)
		}
	}
}

// startTellTale starts a backend that answers with the client's address as it was told.
func startTellTale(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// HAProxy before us: what it writes is read, where it is installed.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	program := "/usr/sbin/haproxy"
	if _, err := os.Stat(program); err != nil {
		t.Skip("no haproxy")
	}
	dir := t.TempDir()
	farm := startTellTale(t)
	for _, send := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"} {
		front := start(t, "-config", write(t, dir, "front.json", `{"proxy_protocol_from": ["127.0.0.0/8"], "backends": [{"url": "http://`+farm+`"}]}`))
		free, err := net.Listen("tcp", "127.0.0.6:0")
		if err != nil {
			t.Fatal(err)
		}
		address := free.Addr().String()
		free.Close()
		cmd := exec.Command(program, "-db", "-f", write(t, dir, "haproxy.cfg", `defaults
    mode tcp
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend f
    bind `+address+`
    unique-id-format %pid
    default_backend b
backend b
    server s `+front.listen+` check inter 100ms `+send+`
`))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: d.DialContext}}
		got := ""
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			answer, err := client.Get("http://" + address + "/?")
			if err != nil {
				continue // It does not listen yet.
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			got = string(text)
			break
		}
		if got != "127.0.0.77" {
			t.Errorf("%s: the client is %q", send, got)
		}
		client.CloseIdleConnections()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
