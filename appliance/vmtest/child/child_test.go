package child

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("CHILD_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	// The program of TestOrphan: start a child, say its number, and wait.
	cmd := exec.Command("sleep", "300")
	p, err := Start(cmd, syscall.SIGKILL)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(cmd.Process.Pid)
	<-p.Done()
}

func TestStartFails(t *testing.T) {
	p, err := Start(exec.Command("/nonexistent/program"), syscall.SIGKILL)
	if err == nil {
		t.Fatal("a program that does not exist was started")
	}
	<-p.Done()
	p.Stop(syscall.SIGKILL) // must not hang or panic
}

func TestStop(t *testing.T) {
	p, err := Start(exec.Command("sleep", "300"), syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop(syscall.SIGTERM)
	p.Stop(syscall.SIGTERM)
	if p.Err() == nil {
		t.Error("the end by a signal is no error")
	}
}

// TestOrphan kills a parent without a word and wants its child gone.
func TestOrphan(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "CHILD_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Error("the parent ended well")
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if gone(pid) {
			return
		}
	}
	t.Errorf("process %d has outlived its parent", pid)
	syscall.Kill(pid, syscall.SIGKILL)
}

// gone reports whether a process has ended; nobody may have waited for it yet.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}
