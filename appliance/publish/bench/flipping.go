package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The site that is flipped.
const (
	flipFiles = 100_000
	flipBytes = 200 << 20
)

// flip is how long one took.
type flip struct {
	first   time.Duration // from the start of the command to the first answer of the other release
	command time.Duration // until it has ended
	growth  int64         // bytes, by which the accelerator has grown meanwhile at most
}

// flipped is what was found.
type flipped struct {
	snapshot       int64 // bytes that the accelerator takes for the site
	forth, back    []flip
	files          int
	publishSeconds float64
}

// flipping measures flips between two releases of which one file differs, forth and back.
func (l *lab) flipping(ctx context.Context, rounds int) (f flipped, err error) {
	site := filepath.Join(l.dir, "large")
	fmt.Fprintf(os.Stderr, "making %d files\n", flipFiles)
	if err := makeSite(site, flipFiles, flipBytes); err != nil {
		return f, err
	}
	b, err := l.newBox(ctx, "box")
	if err != nil {
		return f, err
	}
	defer b.close()
	empty, err := memory(b.accelerator, "VmRSS")
	if err != nil {
		return f, err
	}
	began := time.Now()
	if _, err := b.publish(ctx, site); err != nil {
		return f, err
	}
	f.publishSeconds = time.Since(began).Seconds()
	if err := change(site, 1); err != nil {
		return f, err
	}
	out, err := b.publish(ctx, site, "-no-flip")
	if err != nil {
		return f, err
	}
	other, _, _ := strings.Cut(out, " ")
	loaded, err := memory(b.accelerator, "VmRSS")
	if err != nil {
		return f, err
	}
	f.snapshot, f.files = loaded-empty, flipFiles
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for round := range rounds {
		forth, err := b.flip(ctx, client, other)
		if err != nil {
			return f, err
		}
		back, err := b.flip(ctx, client)
		if err != nil {
			return f, err
		}
		fmt.Fprintf(os.Stderr, "round %d: flip %v, rollback %v\n", round+1, forth.first, back.first)
		f.forth, f.back = append(f.forth, forth), append(f.back, back)
	}
	return f, nil
}

// flip runs the command, and asks for the page all the time.
func (b *box) flip(ctx context.Context, client *http.Client, words ...string) (f flip, err error) {
	before, err := fetch(ctx, client)
	if err != nil {
		return f, err
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", b.accelerator.cmd.Process.Pid), []byte("5"), 0); err != nil { // proc(5): VmHWM from now on
		return f, err
	}
	resident, err := memory(b.accelerator, "VmRSS")
	if err != nil {
		return f, err
	}
	began := time.Now()
	ended := make(chan error)
	go func() {
		_, err := b.steer(ctx, "rollback", append([]string{"-token-file", b.path("token")}, words...)...)
		f.command = time.Since(began)
		ended <- err
	}()
	for answer := before; answer == before && err == nil && time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		answer, err = fetch(ctx, client)
		f.first = time.Since(began)
	}
	if failed := <-ended; failed != nil {
		return f, failed
	}
	if err != nil {
		return f, err
	}
	peak, err := memory(b.accelerator, "VmHWM")
	f.growth = peak - resident
	return f, err
}

// memory reads a line of /proc/PID/status, in bytes.
func memory(of *server, line string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", of.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\n"+line+":")
	rest, _, _ = strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
	return n << 10, err
}
