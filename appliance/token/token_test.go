package token

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "tokens.json"))
	for _, test := range []struct {
		name   string
		scopes []string
		want   string
	}{
		{"", []string{"status"}, "name"},
		{"a\nb", []string{"status"}, "printable"},
		{strings.Repeat("x", 65), []string{"status"}, "64"},
		{"x", nil, "at least one of status"},
		{"x", []string{"root"}, `"root" is not one of`},
		{"x", []string{"status", "status"}, "twice"},
	} {
		if _, _, err := s.Make(test.name, test.scopes); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q %q: %v", test.name, test.scopes, err)
		}
	}
	if err := s.Revoke("none"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	for range maxTokens {
		s.all = append(s.all, Token{})
	}
	if _, _, err := s.Make("x", []string{"status"}); err == nil || !strings.Contains(err.Error(), "revoke one") {
		t.Error(err)
	}
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(broken); err == nil || !strings.Contains(err.Error(), broken) {
		t.Error(err)
	}
}

func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ramjet", "tokens.json")
	s := open(t, file)
	secret, made, err := s.Make("backup", []string{"status", "config"})
	if err != nil || len(secret) != len(prefix)+43 || made.Hash != "" {
		t.Fatalf("%q %+v %v", secret, made, err)
	}
	other, _, err := s.Make("other", []string{"publish"})
	if err != nil || other == secret {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), secret[len(prefix):]) {
		t.Errorf("what is at rest: %s, %v", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s = open(t, file)
	found, ok := s.Find(secret)
	if !ok || found.ID != made.ID || !found.Allows("config") || found.Allows("publish") {
		t.Errorf("%+v, %v", found, ok)
	}
	for _, wrong := range []string{"", prefix, secret[:len(secret)-1], secret + "x", found.Hash} {
		if _, ok := s.Find(wrong); ok {
			t.Errorf("%q is taken", wrong)
		}
	}
	if all := s.List(); len(all) != 2 || all[0].Hash != "" {
		t.Errorf("%+v", all)
	}
	if err := s.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := open(t, file).Find(secret); ok {
		t.Error("a revoked token is taken")
	}
}
