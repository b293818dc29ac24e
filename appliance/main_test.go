package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ramjet/appliance/configuration/supervised"
)

// TestMain lets the test binary be the program, so that the tests run the real one: flags, signals, exit statuses.
func TestMain(m *testing.M) {
	if os.Getenv("BE_THE_APPLIANCE") != "" {
		main()
	}
	status := m.Run()
	supervised.Remove()
	os.Exit(status)
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BE_THE_APPLIANCE=1")
	return cmd
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

func TestExitStatus(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"unknown flag", []string{"-lable", "X"}, exitUsage, "-label"},
		{"argument", []string{"start"}, exitUsage, `unexpected argument "start"`},
		{"run directory cannot be made", []string{"-run", file + "/run"}, exitFailed, "partition watcher: run directory"},
		{"help", []string{"-h"}, exitOK, "-fallback"},
		{"version", []string{"-version"}, exitOK, "dev\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := program(t.Context(), test.args...).CombinedOutput()
			if got := exitStatus(t, err); got != test.status || !strings.Contains(string(out), test.says) {
				t.Errorf("exit status %d, want %d; it said:\n%s", got, test.status, out)
			}
		})
	}
}

// The program starts on any Linux, as any user, falls back when nothing has the label, and ends cleanly.
func TestTerminate(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := program(ctx, "-label", "nobody has it", "-run", dir+"/run", "-fallback", dir+"/www", "-admin", dir+"/no.sock", "-state", dir+"/state")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "site link flipped") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := exitStatus(t, cmd.Wait()); got != exitTerminated {
		t.Errorf("exit status %d, want %d; it said:\n%s", got, exitTerminated, &said)
	}
	if target, err := os.Readlink(dir + "/run/site"); target != dir+"/www" {
		t.Errorf("site -> %q, %v", target, err)
	}
	if !strings.Contains(said.String(), `msg="ramjet appliance" version=dev`) {
		t.Errorf("no version:\n%s", &said)
	}
}
