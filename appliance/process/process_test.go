package process

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// This process is one that is known well.
func TestSelf(t *testing.T) {
	self, err := Look(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if age, err := self.Age(); err != nil || age < 0 || age > time.Hour || self.State == 'T' {
		t.Errorf("it is %v old, %v; state %c", age, err, self.State)
	}
	if name, err := Program(os.Getpid()); err != nil || name != "process.test" {
		t.Errorf("it is called %q, %v", name, err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // Nobody accepts.
	if id, err := OfSocket(l.Addr().String()); err != nil || id != self.ID {
		t.Errorf("the socket is of %v, %v", id, err)
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Log(err) // No IPv6 here.
			continue
		}
		port := l.Addr().(*net.TCPAddr).Port
		if all, err := Listeners(port); err != nil || !slices.Equal(all, []ID{self.ID}) {
			t.Errorf("%s is of %v, %v", address, all, err)
		}
		l.Close()
		if all, err := Listeners(port); err != nil || len(all) > 0 {
			t.Errorf("closed, it is of %v, %v", all, err)
		}
	}
}

// Only the one that is meant is ended.
func TestEnd(t *testing.T) {
	// A name that would fool a careless reader of /proc.
	odd := filepath.Join(t.TempDir(), "a) S 1 (b")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sleep, odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := End(ID{id.PID, id.Start + 1}); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("one that was there before: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, err := Look(id.PID); err == nil && s.State == 'T' && s.ID == id {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("it is not stopped: %c, %v", s.State, err)
		}
	}
	if err := End(id); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Error(err)
	}
	if err := End(id); err == nil {
		t.Error("it was ended twice")
	}
}
