package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is a process on the far side.
type server struct {
	cmd *exec.Cmd
	log strings.Builder
}

// serve starts one, and waits until it can be reached.
func (l *lab) serve(ctx context.Context, port, name string, args ...string) (*server, error) {
	s := &server{cmd: l.network.inside(ctx, name, args...)} // ip execs it: the process is its own.
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(there, port), time.Second)
		if err == nil {
			c.Close()
			return s, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			s.end()
			return nil, fmt.Errorf("%s does not answer: %w\n%s", name, err, s.log.String())
		}
	}
}

func (s *server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// box is the two programs of a box, with nothing published yet.
type box struct {
	lab                    *lab
	dir                    string
	accelerator, appliance *server
}

// page is what the accelerator answers.
const page = "http://" + there + "/"

func (l *lab) newBox(ctx context.Context, name string) (*box, error) {
	b := &box{lab: l, dir: filepath.Join(l.dir, name)}
	if err := os.MkdirAll(b.path("site"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.path("password"), []byte("benchmark\n"), 0o600); err != nil {
		return nil, err
	}
	var err error
	if b.accelerator, err = l.serve(ctx, "80", l.programs.accelerator, "-listen", ":80", "-root", b.path("site"), "-admin", b.path("socket")); err != nil {
		return nil, err
	}
	b.appliance, err = l.serve(ctx, "8443", l.programs.appliance, "-label", "nobody has it", "-run", b.path("run"), "-fallback", b.path("site"),
		"-admin", b.path("socket"), "-control", "", "-update", "", "-api", ":8443", "-password", b.path("password"), "-state", b.path("state"),
		"-config", b.path("ramjet.json"), "-accelerator", l.programs.accelerator)
	if err == nil {
		err = b.makeToken(ctx)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *box) path(name string) string { return filepath.Join(b.dir, name) }

// close ends it.
func (b *box) close() {
	for _, s := range []*server{b.appliance, b.accelerator} {
		if s != nil {
			s.end()
		}
	}
}

func (b *box) makeToken(ctx context.Context) error {
	out, err := b.steer(ctx, "token", "-password-file", b.path("password"), "-accept-new", "make", "bench", "publish")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return os.WriteFile(b.path("token"), []byte(lines[len(lines)-1]), 0o600)
}

// steer runs the command on this side. Its flags come first.
func (b *box) steer(ctx context.Context, name string, words ...string) (string, error) {
	args := append([]string{name, "-box", net.JoinHostPort(there, "8443"), "-known", b.path("known")}, words...)
	out, err := exec.CommandContext(ctx, b.lab.programs.appliance, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("appliance %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// publish publishes a folder as it is, without compressed forms.
func (b *box) publish(ctx context.Context, dir string, flags ...string) (string, error) {
	return b.steer(ctx, "publish", append(append([]string{"-token-file", b.path("token"), "-cache", b.path("cache"), "-compress=false"}, flags...), dir)...)
}

// fetch gets the first page.
func fetch(ctx context.Context, client *http.Client) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", page, answer.Status)
	}
	return string(text), err
}
