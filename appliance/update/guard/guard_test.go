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
		{"no end", limit + time.Second, now, "not confirmed"},
		{"nobody yet", first - time.Second, time.Time{}, ""},
		{"under way", limit - time.Second, ago(time.Second), ""},
	} {
		if got := verdict(test.after, test.alive, now); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
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
