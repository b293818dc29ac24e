package update

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/appliance/command"
	"ramjet/appliance/update/disk"
)

// An update is signed and sent by the commands, with a key of the stock minisign.
func TestCommands(t *testing.T) {
	stock, err := exec.LookPath("minisign")
	if err != nil {
		t.Skip("minisign is not installed")
	}
	m := newMachine(t)
	dir, secret, public := t.TempDir(), filepath.Join(m.dir, "update.key"), filepath.Join(m.dir, "update.pub")
	// Without a password, from which a key is made on purpose so slowly that it takes half a minute.
	if out, err := exec.Command(stock, "-G", "-W", "-p", public, "-s", secret).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, text := range map[string][]byte{
		rootPart: rootImage("by commands"), bootPart: bootImage(t, "kernel 2"), recordPart: make([]byte, recordSize), "password": []byte("secret\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(u *Updater) string {
		u.Keys = []string{public}
		return strings.TrimPrefix(run(t, &Server{Gokrazy: gokrazy(t), Updates: u, Keys: u.Keys}), "http://")
	}
	u := m.start()
	started := make(chan struct{})
	u.launch = func() { close(started) }
	box := run(u)
	does := func(status int, says string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		terminal := &command.Terminal{In: strings.NewReader(""), Out: io.Discard, Err: &out}
		if got := command.Run(args, terminal); got != status || !strings.Contains(out.String(), says) {
			t.Errorf("appliance %s: exit status %d, %q; want %d, %q", args[0], got, out.String(), status, says)
		}
	}
	send := []string{"update", "-box", box, "-password-file", filepath.Join(dir, "password"), dir}
	does(1, "update.txt", send...)
	does(2, "1 words expected", "sign", "-key", secret)
	does(1, "no-key", "sign", "-key", filepath.Join(dir, "no-key"), dir)
	does(0, "signed with key", "sign", "-key", secret, dir)
	list := filepath.Join(dir, "update.txt")
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, bytes.Replace(text, []byte("root "), []byte("root 9"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	does(1, "the signature is wrong", send...)
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	does(0, "the box tries it now", send...)
	<-started
	if got, err := os.ReadFile(m.disk.Roots[disk.RootB]); err != nil || !bytes.HasPrefix(got, rootImage("by commands")) {
		t.Errorf("the other root is not what was sent, %v", err)
	}
}
