package release

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be a process that publishes until it is killed.
func TestMain(m *testing.M) {
	if root := os.Getenv("PUBLISH_INTO"); root != "" {
		publishForever(root)
	}
	os.Exit(m.Run())
}

func publishForever(root string) {
	s := &Store{Root: root}
	if err := s.Keep(3); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := os.Getpid() * 1000; ; n++ {
		files := site{}
		for i := range 40 {
			files[fmt.Sprintf("%d/%d", i%3, i)] = fmt.Sprintf("%d of %d %s", i, n, strings.Repeat("x", i*1000))
			files[fmt.Sprintf("same/%d", i)] = fmt.Sprint("same ", i)
		}
		if _, err := publish(s, files); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("published", n)
	}
}

// Killed at any moment, a process leaves the old or the new release live, whole; and the next one clears what it has left.
func TestKilled(t *testing.T) {
	root := t.TempDir()
	for round := range 20 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PUBLISH_INTO="+root)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 2 { // Then it is at work for certain.
			if !lines.Scan() || !strings.HasPrefix(lines.Text(), "published ") {
				t.Fatalf("round %d: it said %q", round, lines.Text())
			}
		}
		time.AfterFunc(time.Duration(rand.IntN(50_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
		}
		_ = cmd.Wait()
		verify(t, root, round)
	}
}

func verify(t *testing.T, root string, round int) {
	t.Helper()
	s := newStore(t, root)
	all, err := s.List() // Before anything is cleared: that is what the accelerator sees.
	if err != nil {
		t.Fatal(err)
	}
	liveOnes := 0
	for _, r := range all {
		if !r.Live {
			continue
		}
		liveOnes++
		broken, err := s.Verify(context.Background(), r.ID)
		if err != nil || len(broken) > 0 || r.Files != 80 {
			t.Errorf("round %d: of %+v these are broken: %v, %v", round, r, broken, err)
		}
		if n := len(live(t, root)); n != 80 {
			t.Errorf("round %d: %d files are live", round, n)
		}
	}
	if liveOnes != 1 {
		t.Errorf("round %d: %d releases are live", round, liveOnes)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for path := range read(t, filepath.Join(root, incomingName)) {
		if !isOurs(path) {
			t.Errorf("round %d: %s is left", round, path)
		}
	}
	for path := range read(t, filepath.Join(root, blobsName)) {
		if n := inode(t, filepath.Join(root, blobsName, path)).Nlink; n < 2 {
			t.Errorf("round %d: no release has %s", round, path)
		}
	}
}
