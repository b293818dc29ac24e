package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A server's agent takes it out, and brings it back; one without an agent is as
// others are.
func TestBackendAgent(t *testing.T) {
	t.Parallel()
	farm := newNamedFarm(t, "127.0.0.41", "127.0.0.42")
	l, err := net.Listen("tcp", "127.0.0.41:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var says atomic.Value
	says.Store("up 50%\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, says.Load().(string))
			c.Close()
		}
	}()
	dir := t.TempDir()
	url := func(ip string) string { return "http://" + net.JoinHostPort(ip, farm.port) }
	front := start(t, "-config", write(t, dir, "front.json", fmt.Sprintf(`{
		"admin": "front.sock", "forward": {"balance": "round_robin"}, "health": {"interval": "100ms", "agent_port": %d},
		"backends": [{"url": %q}, {"url": %q}]}`, l.Addr().(*net.TCPAddr).Port, url("127.0.0.41"), url("127.0.0.42"))))
	front.wait("says=50%")
	becomes(t, front.listen, "127.0.0.41 127.0.0.42")
	says.Store("maint\n")
	becomes(t, front.listen, "127.0.0.42")
	ask := adminClient(t, filepath.Join(dir, "front.sock"))
	var now status
	if _, text := ask("GET", "/status"); json.Unmarshal([]byte(text), &now) != nil || len(now.Backends) != 2 || now.Backends[0].Agent != "maint 50%" || now.Backends[1].Agent != "" {
		t.Error(text)
	}
	if _, text := ask("GET", "/metrics"); !strings.Contains(text, `ramjet_backend_agent_ratio{backend="`+url("127.0.0.41")+`",pool="default"} 0.5`) {
		t.Error(text)
	}
	if _, text := ask("GET", "/explain?url=/a?"); !strings.Contains(text, "not now, says its agent: maint 50%") {
		t.Error(text)
	}
	says.Store("ready 100% fail#disk full\n")
	front.wait("says=down")
	becomes(t, front.listen, "127.0.0.42")
	says.Store("up\n")
	becomes(t, front.listen, "127.0.0.41 127.0.0.42")
}
