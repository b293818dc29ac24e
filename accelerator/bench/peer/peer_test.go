package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startTestFloor starts the C floor, which needs a compiler and nothing else.
func startTestFloor(t *testing.T, answer, request string, closes bool) *Process {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	program, err := BuildFloor(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	cores, err := Cores()
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartFloor(t.Context(), program, dir, []byte(answer), len(request), closes, cores[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestFloor(t *testing.T) {
	const request = "GET / HTTP/1.1\r\n\r\n"
	for _, size := range []int{10, 1000, 300_000} {
		answer := strings.Repeat("0123456789", size/10)
		p := startTestFloor(t, answer, request, false)
		conn, err := net.Dial("tcp", p.Address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Several requests at once, the last one in two pieces.
		const n = 100
		go func() {
			io.WriteString(conn, strings.Repeat(request, n-1)+request[:5])
			time.Sleep(10 * time.Millisecond)
			io.WriteString(conn, request[5:])
		}()
		got := make([]byte, n*len(answer))
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Fatal(err)
		}
		if string(got) != strings.Repeat(answer, n) {
			t.Errorf("%d answers of %d bytes are not right", n, size)
		}
	}
	closing := startTestFloor(t, "hello", request, true)
	conn, err := net.Dial("tcp", closing.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAccounts(t *testing.T) {
	// A shell with a child that works: both count.
	dir := t.TempDir()
	cores, err := Cores()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // start waits for someone to listen.
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	script := exec.Command("sh", "-c", "sh -c 'while :; do :; done' & wait")
	p, err := start(t.Context(), "shell", script, listener.Addr().(*net.TCPAddr).Port, dir, cores[:1])
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	for deadline := time.Now().Add(5 * time.Second); len(p.pids) < 2; {
		if err := p.Recount(); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d processes, %v", len(p.pids), err)
		}
		time.Sleep(time.Millisecond)
	}
	var used time.Duration
	for deadline := time.Now().Add(5 * time.Second); used < 20*time.Millisecond; time.Sleep(time.Millisecond) {
		if used, err = p.CPU(); err != nil || time.Now().After(deadline) {
			t.Fatalf("%v of CPU time, %v", used, err)
		}
	}
	threads, err := p.Threads()
	if err != nil || len(threads) != 2 {
		t.Errorf("threads: %v, %v", threads, err)
	}
	if m, err := p.Memory(); err != nil || m < 100_000 || m > 100_000_000 {
		t.Errorf("%d bytes of memory, %v", m, err)
	}
	pids := p.pids
	p.Stop()
	for _, pid := range pids {
		// A child whose parent has gone may take a moment to be reaped.
		for deadline := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil && !zombie(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d is left behind", pid)
			}
		}
	}
	if _, err := p.CPU(); err == nil {
		t.Error("a server that is gone has CPU time")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its files are left behind: %v", err)
	}
}

func zombie(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && bytes.Contains(b, []byte(") Z "))
}

func TestStartFails(t *testing.T) {
	cores, err := Cores()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(t.Context(), "it", exec.Command("sh", "-c", "echo no such thing; exit 3"), port, t.TempDir(), cores)
	if err == nil || !strings.Contains(err.Error(), "it ended at once: no such thing") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = start(ctx, "it", exec.Command("sleep", "100"), port, t.TempDir(), cores)
	if err == nil || !strings.Contains(err.Error(), "does not accept connections") {
		t.Errorf("error %v", err)
	}
}

// All configurations must come out of their templates, and those whose server
// is there must work.
func TestConfigurations(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []Kind{Nginx, H2O, Lighttpd, HAProxy} {
		for _, s := range []Settings{
			{Loops: 1, Backend: "127.0.0.1:9"}, {Loops: 2, Backend: "127.0.0.1:9", Precompressed: true, Log: true}, {Loops: 1},
		} {
			if kind.Name == HAProxy.Name && s.Backend == "" {
				continue // It is nothing but a proxy.
			}
			s.Dir, s.Root, s.Port, s.Connections, s.Files = t.TempDir(), root, 80, 100, 10
			if _, err := kind.write(s); err != nil {
				t.Errorf("%s: %v", kind.Name, err)
			}
			program, err := kind.Find()
			if err != nil {
				t.Logf("not tried: %v", err)
				continue
			}
			for d := s.Dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
				os.Chmod(d, 0o755)
			}
			p, err := program.Start(t.Context(), s, 0)
			if err != nil {
				t.Errorf("%s: %v", kind.Name, err)
				continue
			}
			p.Stop()
		}
	}
}
