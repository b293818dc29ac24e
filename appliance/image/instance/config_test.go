package instance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/appliance/access"
)

// top returns the real configuration at the top of the repository.
func top(t *testing.T) []byte {
	t.Helper()
	root, err := FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(root, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestConfigMistakes(t *testing.T) {
	board := Boards()[0]
	for _, test := range []struct{ name, config, version, want string }{
		{"no JSON", `{"Hostname": `, "v1", "config.json"},
		{"no object", `[]`, "v1", "config.json"},
		{"no flags to stamp", `{}`, "v1", "GoBuildFlags"},
		{"version with a blank", string(top(t)), "v1 -X main.evil=1", "blanks"},
		{"version with a quote", string(top(t)), "v'1", "quotes"},
	} {
		_, err := Config([]byte(test.config), board, test.version, "secret", "", nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

// TestConfigBoards derives the configuration of every board from the real one
// and checks what differs and what does not.
func TestConfigBoards(t *testing.T) {
	type config struct {
		Hostname string
		Update   struct {
			HTTPPort, HTTPPassword, Hostname string
			NoPassword                       bool
		}
		InternalCompatibilityFlags struct{ Update string }
		Environment                []string
		Packages                   []string
		PackageConfig              map[string]struct {
			GoBuildFlags, CommandLineFlags []string
			ExtraFileContents              map[string]string
		}
		SerialConsole   string
		KernelPackage   string
		FirmwarePackage *string
		KernelExtraArgs []string
	}
	for _, board := range Boards() {
		text, err := Config(top(t), board, "v1.2-3-gabc", "secret word", "192.0.2.1", map[string]string{"/etc/ramjet/password": "$2a$10$hash"})
		if err != nil {
			t.Fatal(err)
		}
		var c config
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		if c.Hostname != "ramjet" || c.Update.HTTPPort != "8080" || c.Update.HTTPPassword != "" || !c.Update.NoPassword ||
			c.InternalCompatibilityFlags.Update != "http://gokrazy:secret%20word@192.0.2.1:8080/" || c.Update.Hostname != "192.0.2.1" {
			t.Errorf("%s: host name %q, update %+v", board.Name, c.Hostname, c.Update)
		}
		if got := c.PackageConfig["ramjet/appliance"].ExtraFileContents["/etc/ramjet/password"]; got != "$2a$10$hash" {
			t.Errorf("%s: the image's password is %q", board.Name, got)
		}
		if c.KernelPackage != board.Kernel || c.SerialConsole != board.SerialConsole ||
			c.FirmwarePackage == nil || *c.FirmwarePackage != board.Firmware || c.Environment[1] != "GOARCH="+board.GOARCH {
			t.Errorf("%s: %s", board.Name, text)
		}
		if len(c.KernelExtraArgs) == 0 || len(c.Packages) != 2 {
			t.Errorf("%s: kernel arguments %q, packages %q", board.Name, c.KernelExtraArgs, c.Packages)
		}
		for _, program := range []string{"ramjet/accelerator", "ramjet/appliance"} {
			flags := strings.Join(c.PackageConfig[program].GoBuildFlags, " ")
			if !strings.Contains(flags, "-ldflags=-s -w -X main.version=v1.2-3-gabc") {
				t.Errorf("%s: %s is built with %q", board.Name, program, flags)
			}
		}
	}
}

func TestFindBoard(t *testing.T) {
	if _, err := FindBoard("vax"); err == nil || !strings.Contains(err.Error(), "amd64, arm64, rpi") {
		t.Errorf("an unknown board: %v, want the names of all", err)
	}
	if b, err := FindBoard("rpi"); err != nil || b.Firmware == "" {
		t.Errorf("rpi: %+v, %v", b, err)
	}
}

func TestPassword(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, passwordFile)
	if err := os.WriteFile(path, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Password(dir); err == nil {
		t.Errorf("an empty file yields the password %q", p)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first, err := Password(dir)
	if err != nil || len(first) < 20 {
		t.Fatalf("password %q, %v", first, err)
	}
	if second, err := Password(dir); err != nil || second != first {
		t.Errorf("the second time it is %q, %v, want %q", second, err, first)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v, want mode 0600", info.Mode(), err)
	}
}

func TestPasswordHash(t *testing.T) {
	dir := t.TempDir()
	hash := func(password string) string {
		t.Helper()
		h, err := PasswordHash(dir, password)
		if err != nil || !access.Matches([]byte(h), password) {
			t.Fatalf("%s, %v", h, err)
		}
		return h
	}
	first := hash("secret")
	if second := hash("secret"); second != first {
		t.Error("the same password has two hashes: every image would be another one")
	}
	if hash("other") == first {
		t.Error("another password has the same hash")
	}
}

func TestVersion(t *testing.T) {
	// Git looks for a repository in the directories above, too.
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	t.Setenv("VERSION", "")
	if got := Version(t.Context(), t.TempDir()); got != "dev" {
		t.Errorf("without a repository: %q, want dev", got)
	}
	t.Setenv("PATH", "")
	if got := Version(t.Context(), "."); got != "dev" {
		t.Errorf("without git: %q, want dev", got)
	}
	t.Setenv("VERSION", "v9")
	if got := Version(t.Context(), "."); got != "v9" {
		t.Errorf("with VERSION=v9: %q", got)
	}
}

// TestFingerprint changes when something in the image changes, and only then.
func TestFingerprint(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mark := func(config string) string {
		t.Helper()
		sum, err := fingerprint(root, []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for _, name := range []string{"go.mod", "go.sum", "accelerator/main.go", "appliance/main.go"} {
		write(name, name)
	}
	before := mark("{}")
	write("accelerator/main_test.go", "a test")
	write("appliance/vmtest/story.go", "a story")
	if mark("{}") != before {
		t.Error("a test changes the fingerprint")
	}
	if mark("{ }") == before {
		t.Error("the configuration does not change the fingerprint")
	}
	write("appliance/page.html", "new")
	if mark("{}") == before {
		t.Error("a new file does not change the fingerprint")
	}
}
