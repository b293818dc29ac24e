package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFresh(t *testing.T) {
	list := func(text string) []string {
		if text == "" {
			return nil
		}
		return strings.Split(text, "")
	}
	for _, test := range []struct{ known, past, want string }{
		{"", "", ""},
		{"", "abc", "abc"},
		{"xyz", "abc", "abc"},       // nothing in common: too much has been missed
		{"abc", "abc", ""},          // nothing new
		{"abc", "bcde", "de"},       // the past goes back less far
		{"bc", "abcde", "de"},       // it goes back further
		{"ab", "abxab", ""},         // the later place counts
		{"aaa", "aa", ""},           // lines that are the same
		{"abc", "acde", "acde"},     // the end of known is not in it as a whole
		{"xabc", "abcabcd", "abcd"}, // what is before it has to fit as well
		{"abc", "c", ""},            // the past is short
		{"c", "abc", ""},            // known is short
		{"abc", "", ""},             // gokrazy has forgotten it
		{"abcabc", "abcabcx", "x"},
	} {
		if got := fresh(list(test.known), list(test.past)); !slices.Equal(got, list(test.want)) {
			t.Errorf("known %q, past %q: %q, want %q", test.known, test.past, got, test.want)
		}
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	f := newFile(dir, "web", "boot")
	f.size = 1000
	for i := range 197 {
		if err := f.write([]byte(strings.Repeat("x", 90) + fmt.Sprintf(" %3d\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != kept+1 {
		t.Errorf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Size() > f.size+200 {
			t.Errorf("%s: %d bytes, %v", e.Name(), info.Size(), err)
		}
		if lines, marks := text(filepath.Join(dir, e.Name())); marks != 1 || len(lines) < 5 {
			t.Errorf("%s has %d lines and %d marks", e.Name(), len(lines), marks)
		}
	}
	if got, want := f.bytesKept(), int64(2900); got < want {
		t.Errorf("%d bytes are kept, at least %d were expected", got, want)
	}
	again := newFile(dir, "web", "boot")
	if last := again.lastLines(3); len(last) != 3 || !strings.HasSuffix(last[2], " 196") {
		t.Errorf("the last lines are %q", last)
	}
	if last := newFile(dir, "web", "another").lastLines(3); len(last) != 0 {
		t.Errorf("of another start of the machine there is %q", last)
	}
	text, err := again.tail(nil, 15, 1<<20)
	if err != nil || strings.Count(string(text), "\n") != 15 || !strings.HasSuffix(string(text), " 196\n") {
		t.Errorf("the tail is %q, %v", text, err)
	}
	if text, err := again.tail(nil, 15, 300); err != nil || len(text) > 300 || len(text) < 100 {
		t.Errorf("the tail in 300 bytes is %q, %v", text, err)
	}
}

// What a power cut has left of a line does not swallow the next one.
func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "web.log")
	if err := os.WriteFile(path, []byte("whole\ntor"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newFile(dir, "web", "boot").write([]byte("next\n")); err != nil {
		t.Fatal(err)
	}
	if lines, _ := text(path); !slices.Equal(lines, []string{"whole", "tor", "next"}) {
		t.Errorf("%q", lines)
	}
}

// Of a write that a full disk has cut (here: the limit of a file's size) nothing stays, and it succeeds later.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := &stream{name: "web", file: newFile(dir, "web", "boot")}
	s.add("first", true)
	if err := s.write(true); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(filepath.Join(dir, "web.log"))
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Skip(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(len(before)) + 3, Max: old.Max}); err != nil {
		t.Skip(err)
	}
	s.add("second", true)
	err := s.write(true)
	if e := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); e != nil {
		t.Fatal(e)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "web.log")); err == nil || string(after) != string(before) {
		t.Errorf("%v; the file is %q", err, after)
	}
	s.add("third", true)
	if err := s.write(true); err != nil {
		t.Fatal(err)
	}
	if lines, _ := text(filepath.Join(dir, "web.log")); !slices.Equal(lines, []string{"first", "second", "third"}) {
		t.Errorf("%q", lines)
	}
}

// While the disk takes nothing, memory is bounded, and the newest lines are those that are kept.
func TestPendingIsBounded(t *testing.T) {
	s := &stream{name: "web", file: newFile(t.TempDir(), "web", "boot")}
	for i := range 10_000 {
		s.add(fmt.Sprintf("line %d of some length", i), true)
	}
	if len(s.pending) > pendingBytes || s.left == 0 || !strings.HasSuffix(string(s.pending), "line 9999 of some length\n") {
		t.Errorf("%d bytes pending, %d left out", len(s.pending), s.left)
	}
}

func TestKernelLine(t *testing.T) {
	for _, test := range []struct{ record, want string }{
		{"", ""},
		{"no semicolon", ""},
		{"6,339;too few fields", ""},
		{"x,339,5140900,-;no number", ""},
		{"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n", "<6>[    5.140900] NET: Registered"},
		{"3,1,12345000001,c,caller=T1;trouble\n", "<3>[12345.000001] trouble"},
		{"30,1,0,-;from a program\n", "<6>[    0.000000] from a program"},
	} {
		got, ok := kernelLine(test.record)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%q: %q, want %q", test.record, got, test.want)
		}
	}
	if isKernelError("<4>[    5.140900] warning") || !isKernelError("<3>[    5.140900] error") || isKernelError("") {
		t.Error("the levels of errors are others")
	}
}

// The kernel of this machine, if it lets itself be read.
func TestKernel(t *testing.T) {
	if f, err := os.Open("/dev/kmsg"); err != nil {
		t.Skip(err)
	} else {
		f.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines, ended := make(chan string), make(chan error, 1)
	go func() { ended <- kernel("/dev/kmsg")(ctx, lines) }()
	select {
	case line := <-lines:
		if !strings.HasPrefix(line, "<") || !strings.Contains(line, "] ") {
			t.Errorf("%q", line)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	cancel()
	for {
		select {
		case <-lines:
			continue
		case err := <-ended:
			if err == nil {
				t.Error("it ended without an error")
			}
		}
		return
	}
}
