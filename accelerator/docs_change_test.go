package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands of the README that change the farm do what it says, one after the other.
func TestExampleChanges(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Change the farm while it runs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	if !found || len(commands) != 4 {
		t.Fatalf("%d commands", len(commands))
	}
	f, here := newEditedFarm(t, ""), t.TempDir()
	curl := func(n int) string {
		t.Helper()
		line := strings.ReplaceAll(commands[n][1], "/run/ramjet/accelerator.sock", filepath.Join(f.dir, "a.sock"))
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(line, "http://10.0.0.3:8000", f.url["42"]))
		cmd.Dir = here
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	shown := func() string {
		text, err := os.ReadFile(filepath.Join(here, "farm.json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	curl(0)
	first := shown()
	if !strings.Contains(first, f.url["41"]) {
		t.Fatal(first)
	}
	write(t, here, "farm.json", strings.ReplaceAll(first, f.url["41"], f.url["43"]))
	curl(1)
	f.front.wantBody("/api/x", "127.0.0.43")
	// Another one at the same time is too late.
	if out, err := exec.Command("sh", "-c", "cd "+here+"; "+strings.ReplaceAll(commands[1][1], "/run/ramjet/accelerator.sock", filepath.Join(f.dir, "a.sock"))).CombinedOutput(); err == nil {
		t.Errorf("an old tag was accepted: %s", out)
	}
	curl(2)
	f.front.wantBody("/api/x", "127.0.0.42")
	f.front.wantBody("/x", "127.0.0.43")
	f.restart()
	f.front.wantBody("/api/x", "127.0.0.42")
	curl(3)
	f.front.wantBody("/api/x", "127.0.0.41")
	if s := f.status(); s.From != fromConfiguration {
		t.Errorf("%+v", s)
	}
}
