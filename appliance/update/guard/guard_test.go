package guard

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestVerdict(t *testing.T) {
	const first = leastPatience
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, test := range []struct {
		name  string
		after time.Duration
		alive time.Time
		want  string
	}{
		{"nobody", first + time.Second, time.Time{}, "no program"},
		{"silence", 30 * time.Second, ago(silence + time.Second), "silent"},
		{"no end", limit(first) + time.Second, now, "not confirmed"},
		{"nobody yet", first - time.Second, time.Time{}, ""},
		{"under way", limit(first) - time.Second, ago(time.Second), ""},
	} {
		if got := verdict(test.after, first, test.alive, now); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A slow machine has more time, a broken clock does not give all the time in the world.
func TestPatience(t *testing.T) {
	for _, test := range []struct{ took, first, gate, limit time.Duration }{
		{8 * time.Second, 40 * time.Second, 45 * time.Second, 90 * time.Second},
		{30 * time.Second, 90 * time.Second, 95 * time.Second, 190 * time.Second},
		{time.Hour, 3 * time.Minute, 185 * time.Second, 370 * time.Second},
		{-time.Hour, 40 * time.Second, 45 * time.Second, 90 * time.Second},
	} {
		line := "root=x " + Argument(test.took) + " quiet"
		if first := patience(line); first != test.first || Gate(line) != test.gate || limit(first) != test.limit {
			t.Errorf("%q: %v, %v, %v; want %v, %v, %v", line, first, Gate(line), limit(first), test.first, test.gate, test.limit)
		}
	}
	for _, line := range []string{"", "quiet", argument, argument + "x", argument + "1"} {
		if got := patience(line); got != leastPatience {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// The length of each entry, and cpio as a second opinion where it is installed.
func TestArchive(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out bytes.Buffer
	if err := Archive(&out, f); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if out.Len()%4 != 0 || strings.Count(text, "070701") != 7 || !strings.Contains(text, "init\x00\x00#!hello\x00070701") {
		t.Errorf("%q", text)
	}
	if _, err := exec.LookPath("cpio"); err != nil {
		return
	}
	cmd := exec.Command("cpio", "-t", "--quiet")
	cmd.Stdin = &out
	if list, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(list), "\ninit\n") {
		t.Errorf("%v: %s", err, list)
	}
}
