package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ramjet/appliance/vmtest/child"
)

// control starts a QEMU without a machine and returns a connection to it.
func control(t *testing.T) (*QMP, *child.Process) {
	t.Helper()
	dir, err := os.MkdirTemp("", "qmp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "qmp.sock")
	p, err := child.Start(exec.Command("qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none",
		"-qmp", "unix:"+socket+",server=on,wait=off"), syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGKILL) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	q, err := DialQMP(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q, p
}

func TestQMP(t *testing.T) {
	q, p := control(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := q.Execute(ctx, "no-such-command", nil, nil); err == nil || !strings.Contains(err.Error(), "CommandNotFound") {
		t.Errorf("an unknown command: %v", err)
	}
	if err := q.Execute(ctx, "device_del", map[string]any{"id": "nobody"}, nil); err == nil {
		t.Error("a device that does not exist was removed")
	}
	var status struct{ Status string }
	if err := q.Execute(ctx, "query-status", nil, &status); err != nil || status.Status == "" {
		t.Errorf("status %q, %v", status.Status, err)
	}
	short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelShort()
	if err := q.WaitEvent(short, "DEVICE_DELETED", "nobody"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an event that does not come: %v", err)
	}
	p.Stop(syscall.SIGKILL)
	if err := q.Execute(ctx, "query-status", nil, nil); err == nil {
		t.Error("a machine that has gone answers")
	}
}

func TestDialQMPWithoutMachine(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := DialQMP(ctx, filepath.Join(t.TempDir(), "none.sock")); err == nil {
		t.Error("a connection to nothing")
	}
}

func TestSerial(t *testing.T) {
	s := &Serial{}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := s.Wait(ctx, regexp.MustCompile("x"), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a line that does not come: %v", err)
	}
	pattern := regexp.MustCompile(`^boot (\d)$`)
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, match, err := s.Wait(ctx, pattern, 1)
		if err == nil && match[1] != "2" {
			err = fmt.Errorf("found %q", match)
		}
		done <- err
	}()
	for _, piece := range []string{"bo", "ot 1\r\nnoise\nboot", " 2", "\nrest"} {
		fmt.Fprint(s, piece)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.Count(pattern); n != 2 {
		t.Errorf("%d lines match, want 2", n)
	}
	if text := s.Text(time.Now()); strings.Count(text, "\n") != 4 || !strings.Contains(text, "rest") {
		t.Errorf("the text is\n%s", text)
	}
}

func TestLeaseAddress(t *testing.T) {
	dir := t.TempDir()
	first, lease, err := LeaseAddress(dir, 8080)
	if err != nil {
		t.Fatal(err)
	}
	second, other, err := LeaseAddress(dir, 8080)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if first == second {
		t.Errorf("%s was leased twice", first)
	}
	lease.Close()
	// Somebody else's server on the address keeps it from being leased.
	l, err := net.Listen("tcp", first+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	third, again, err := LeaseAddress(dir, 8080)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if third == first {
		t.Errorf("%s was leased although its port is taken", first)
	}
}

func TestUnknownBoard(t *testing.T) {
	m := &Machine{Board: "vax"}
	if err := m.Start(t.Context()); err == nil {
		t.Error("a machine that does not exist was started")
	}
	m.PowerOff()
}
