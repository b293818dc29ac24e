package update

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/gokrazy/updater"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/update/signed"
)

// bundle signs an update.
func bundle(t *testing.T, key minisign.PrivateKey, made time.Time, parts map[string][]byte) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range parts {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := signed.List(dir, made)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bundle(list.Text(), signed.Sign(key, list.Text()))
}

// Where signatures are required nothing else gets in, and nothing is touched by what is refused.
func TestSigned(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	keys := []string{filepath.Join(m.dir, "own.pub"), filepath.Join(m.dir, "image.pub")}
	if err := os.WriteFile(keys[1], []byte(public.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(u *Updater) string {
		u.Keys = keys
		return run(t, &Server{Gokrazy: gokrazy(t), Updates: u, Keys: keys})
	}
	u := m.start()
	url := start(u)
	parts := map[string][]byte{rootPart: rootImage("signed"), bootPart: bootImage(t, "kernel 2"), recordPart: make([]byte, recordSize)}
	now := time.Now()
	good := bundle(t, private, now, parts)
	other := bytes.Clone(parts[rootPart])
	other[len(other)-1]++
	want := func(what string, status, wanted int, text, contains string) {
		t.Helper()
		if status != wanted || !strings.Contains(text, contains) {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	sends := func(what, url string, body []byte, wanted int, contains string) {
		t.Helper()
		status, text := put(t, url, bytes.NewReader(body), int64(len(body)))
		want(what, status, wanted, text, contains)
	}
	sends("no signature", url+"/update/root", parts[rootPart], 403, "signed updates alone")
	sends("a wrong key", url+"/update/signature", bundle(t, stranger, now, parts), 403, "this box knows")
	sends("a list that was changed", url+"/update/signature", bytes.Replace(good, []byte("root "), []byte("root 1"), 1), 403, "signature is wrong")
	sends("after them", url+"/update/root", parts[rootPart], 403, "signed updates alone")
	for _, path := range []string{"/update/device-specific/mbr", "/uploadtemp/x", "/divert"} {
		sends("by "+path, url+path, nil, 403, "knows no signatures")
	}
	sends("a good one", url+"/update/signature", good, 200, "")
	sends("a part that was changed", url+"/update/root", other, 403, "not what was signed")
	sends("a part that is longer", url+"/update/root", append(bytes.Clone(other), 0), 403, "were signed")
	status, text := ask(t, "POST", url+"/update/switch", "secret", "")
	want("a switch to what was refused", status, 409, text, "no root")
	if got, err := os.ReadFile(m.disk.Roots[disk.RootB]); err != nil || len(bytes.Trim(got, "\x00")) > 0 {
		t.Errorf("something was written, %v", err)
	}
	send(t, url, parts[rootPart], parts[bootPart])
	if trial, err := u.Start(); !trial || err != nil {
		t.Fatal(trial, err)
	}
	over(t, m.tried(disk.RootB))

	u, _ = m.back()
	url = start(u)
	sends("an older one", url+"/update/signature", bundle(t, private, now.Add(-time.Minute), parts), 403, "sign it anew")
	sends("the same again", url+"/update/signature", good, 200, "")
	// A key that cannot be read is no reason to take anything.
	if err := os.WriteFile(keys[0], []byte("RWQ"), 0o600); err != nil {
		t.Fatal(err)
	}
	sends("no key that can be read", url+"/update/root", parts[rootPart], 403, "no public key")
	plain := run(t, &Server{Gokrazy: gokrazy(t), Keys: keys[1:]})
	sends("where gokrazy makes updates", plain+"/update/root", parts[rootPart], 403, "knows no signatures")
}

// flipper sends requests on, with one octet of the body changed.
type flipper struct{ at int64 }

func (f flipper) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody && r.Method == http.MethodPut {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, f.at), &changed{r.Body, false}), r.Body}
	}
	return http.DefaultClient.Do(r)
}

type changed struct {
	io.Reader
	done bool
}

func (c *changed) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 && !c.done {
		b[0] ^= 1
		c.done = true
	}
	return n, err
}

// A part that changes on its way looks whole, and gok finds it out by the hash in the answer: it sends no switch. One that
// changes where it shows is refused here.
func TestCorrupted(t *testing.T) {
	m := newMachine(t)
	u := m.start()
	url := run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
	root := rootImage(strings.Repeat("root", 1000))
	for at, says := range map[int64]string{2000: "checksum", 0: "no squashfs"} {
		target, err := updater.NewTarget(t.Context(), strings.Replace(url, "http://", "http://gokrazy:secret@", 1)+"/", flipper{at})
		if err != nil {
			t.Fatal(err)
		}
		if err := target.StreamTo(t.Context(), "root", bytes.NewReader(root)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("changed at %d: gok says %v, want %q", at, err, says)
		}
	}
	if got, err := os.ReadFile(m.disk.Roots[disk.RootB]); err != nil || len(bytes.Trim(got, "\x00")) > 0 || u.state.Trial != nil {
		t.Errorf("something was written, %v", err)
	}
}

// What does not fit onto /perm is refused at its first bytes, with what is missing.
func TestNoRoom(t *testing.T) {
	m := newMachine(t)
	// The partition has room for it, its directory has not.
	if err := os.Truncate(m.disk.Roots[disk.RootB], 8<<40); err != nil {
		t.Skip(err)
	}
	u := m.start()
	url := run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
	endless, writer := io.Pipe()
	go func() {
		_, err := writer.Write(rootImage("too large"))
		for err == nil {
			_, err = writer.Write(make([]byte, 1<<16))
		}
	}()
	defer endless.Close()
	request, err := http.NewRequest("PUT", url+"/update/root", endless)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 8 << 40
	request.SetBasicAuth("gokrazy", "secret")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != 507 || !strings.Contains(string(text), "bytes more have to be free on /perm") {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	if left, err := os.ReadDir(u.Dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
