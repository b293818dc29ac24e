package signed

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
)

func key(t *testing.T) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

// parts makes a directory with an update.
func parts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range Parts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("the "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpen(t *testing.T) {
	public, private := key(t)
	other, stranger := key(t)
	m, err := List(parts(t), time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	list := m.Text()
	good := Bundle(list, Sign(private, list))
	for _, test := range []struct {
		name   string
		bundle []byte
		want   string
	}{
		{"nothing", nil, "no signature"},
		{"a list alone", list, "no signature"},
		{"something else", append(bytes.Clone(list), "untrusted comment: x\nabc\n"...), "none of minisign's"},
		{"the key of a stranger", Bundle(list, Sign(stranger, list)), "this box knows"},
		{"a list that was changed", bytes.Replace(good, []byte("2026"), []byte("2027"), 1), "the signature is wrong"},
		{"a comment that was changed", bytes.Replace(good, []byte("timestamp:"), []byte("timestomp:"), 1), "the signature is wrong"},
		{"something signed that is no list", Bundle([]byte("hello\n"), Sign(private, []byte("hello\n"))), "no list"},
		{"half of a list", Bundle(list[:90], Sign(private, list[:90])), ""},
		{"a list with more", Bundle(append(bytes.Clone(list), "x 1 2\n"...), Sign(private, append(bytes.Clone(list), "x 1 2\n"...))), "line 6"},
	} {
		if _, err := Open(test.bundle, []minisign.PublicKey{public}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	for _, keys := range [][]minisign.PublicKey{{public}, {other, public}} {
		got, err := Open(good, keys)
		if err != nil || !got.Made.Equal(m.Made) || got.Parts["root"] != m.Parts["root"] || got.Parts["mbr"].Size != int64(len("the mbr")) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	// And as the older minisign signs: the list itself, not its hash.
	if _, err := Open(Bundle(list, minisign.Sign(private, list)), []minisign.PublicKey{public}); err != nil {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	one, _ := key(t)
	two, _ := key(t)
	text, err := one.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "untrusted comment: x\n", "RWQ\n", string(text) + "\nRWQ\n"} {
		if keys, err := Keys([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, keys)
		}
	}
	keys, err := Keys([]byte("# ours\n" + string(text) + "\n\n" + two.String() + "\n"))
	if err != nil || len(keys) != 2 || !keys[0].Equal(one) || !keys[1].Equal(two) {
		t.Errorf("%v, %v", keys, err)
	}
}

// The stock minisign takes what is signed here, and the other way round.
func TestStock(t *testing.T) {
	stock, err := exec.LookPath("minisign")
	if err != nil {
		t.Skip("minisign is not installed")
	}
	dir := parts(t)
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(stock, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("minisign %v: %v: %s", args, err, out)
		}
	}
	run("-G", "-W", "-p", "k.pub", "-s", "k.key")
	text, err := os.ReadFile(filepath.Join(dir, "k.key"))
	if err != nil {
		t.Fatal(err)
	}
	var private minisign.PrivateKey
	if err := private.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	m, err := List(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{ListFile: m.Text(), SignatureFile: Sign(private, m.Text())} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("-V", "-p", "k.pub", "-m", ListFile)
	run("-S", "-W", "-s", "k.key", "-m", ListFile)
	public, err := os.ReadFile(filepath.Join(dir, "k.pub"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := Keys(public)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := os.ReadFile(filepath.Join(dir, SignatureFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Bundle(m.Text(), signature), keys); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ramjet update\nmade 2026-01-02T15:04:05Z\nroot 1 00\nboot 1 00\nmbr 1 00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parse(text); err == nil && !bytes.Equal(m.Text(), text) {
			t.Errorf("%q reads as %q", text, m.Text())
		}
	})
}
