package update

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/disk"
)

// Where there is no room for two kernels, one that has not changed stays where it is, and only its root changes.
func TestOneKernel(t *testing.T) {
	m := newMachine(t)
	if err := os.Truncate(m.disk.Boot, 30<<20); err != nil {
		t.Fatal(err)
	}
	bare := func() []byte {
		t.Helper()
		text, err := os.ReadFile(m.disk.Boot)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.ReplaceAll(text, []byte("PARTNROFF=2"), []byte("PARTNROFF=1"))
	}
	before := bare()
	for i, test := range []struct {
		kernel string
		root   int
		stays  bool
	}{{"kernel 1", disk.RootB, true}, {"kernel 1", disk.RootA, true}, {"kernel 2", disk.RootB, false}, {"kernel 2", disk.RootA, true}} {
		u, _ := m.back()
		send(t, run(t, &Server{Gokrazy: gokrazy(t), Updates: u}), rootImage(test.kernel+string(rune('a'+i))), bootImage(t, test.kernel))
		if now := bare(); !bytes.Equal(now, before) {
			t.Fatalf("update %d: something is written before the trial", i)
		}
		if trial, err := u.Start(); !trial || err != nil || m.kernel != test.kernel || !strings.Contains(m.loaded, "root="+m.disk.Names[test.root]) {
			t.Fatalf("update %d: %v, %v, %s, %q", i, trial, err, m.kernel, m.loaded)
		}
		tried := m.tried(test.root)
		over(t, tried)
		if o := last(t, tried); o.Outcome != "confirmed" {
			t.Fatalf("update %d: %+v", i, o)
		}
		if _, kernel := m.back(); kernel != test.kernel || m.disk.Active != test.root {
			t.Errorf("update %d: the box starts %s from %d", i, kernel, m.disk.Active)
		}
		now := bare()
		if is := bytes.Equal(now, before); is != test.stays {
			t.Errorf("update %d: the boot file system is the same: %v", i, is)
		}
		before = now
	}
	// Back to the version before: its root, under the kernel that is there.
	u, _ := m.back()
	if err := u.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if trial, err := u.Start(); !trial || err != nil {
		t.Fatal(trial, err)
	}
	over(t, m.tried(disk.RootB))
	if m.back(); m.disk.Active != disk.RootB || !bytes.Equal(bare(), before) {
		t.Errorf("rolled back, the box starts from %d", m.disk.Active)
	}
}

// The guard goes before a new kernel is written over the old one: it must not start the machine anew in the middle of that.
func TestGuardGoesFirst(t *testing.T) {
	m := newMachine(t)
	if err := os.Truncate(m.disk.Boot, 30<<20); err != nil {
		t.Fatal(err)
	}
	u := m.start()
	send(t, run(t, &Server{Gokrazy: gokrazy(t), Updates: u}), rootImage("next"), bootImage(t, "kernel 2"))
	if trial, err := u.Start(); !trial || err != nil {
		t.Fatal(trial, err)
	}
	u = m.tried(disk.RootB)
	if err := os.Remove(m.disk.Boot); err != nil { // It cannot be written.
		t.Fatal(err)
	}
	over(t, u)
	if did := <-m.did; did != "reboot" {
		t.Error(did)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "run", confirmedFile)); err != nil {
		t.Errorf("the guard is still there: %v", err)
	}
}

// A power cut while a new kernel is written over the old one, from which the box comes up nevertheless: it is written to the end.
func TestHalfWritten(t *testing.T) {
	m := newMachine(t)
	if err := os.Truncate(m.disk.Boot, 30<<20); err != nil {
		t.Fatal(err)
	}
	u := m.start()
	send(t, run(t, &Server{Gokrazy: gokrazy(t), Updates: u}), rootImage("next"), bootImage(t, "a longer kernel"))
	if trial, err := u.Start(); !trial || err != nil {
		t.Fatal(trial, err)
	}
	u = m.tried(disk.RootB)
	u.state.Trial.Commit = true
	table := make([]byte, 8*bootfs.Sector)
	if err := errors.Join(u.save(), writeAt(m.disk.Boot, 0, table)); err != nil {
		t.Fatal(err)
	}
	m.line, m.disk.Active = "", disk.RootA
	if u = m.start(); len(m.did) != 1 {
		t.Fatalf("it is not written to the end: %+v", u.Status())
	}
	<-m.did
	u, kernel := m.back()
	if o := last(t, u); o.Outcome != "confirmed" || kernel != "a longer kernel" || m.disk.Active != disk.RootB || len(m.did) > 0 {
		t.Errorf("%+v; the box starts %s from %d", o, kernel, m.disk.Active)
	}
}

func TestSameBoot(t *testing.T) {
	one := bootImage(t, "kernel")
	limit := int64(len(one))
	if all, err := bootfs.Files(bytes.NewReader(one), limit); err != nil || len(all) != 3 || all[bootfs.KernelFile].Length != 6 || all[bootfs.EntryFile].Length == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	for name, test := range map[string]struct {
		other []byte
		want  bool
	}{
		"the same":             {bootImage(t, "kernel"), true},
		"another root":         {bytes.ReplaceAll(one, []byte("PARTNROFF=1"), []byte("PARTNROFF=2")), true},
		"another kernel":       {bootImage(t, "KERNEL"), false},
		"a longer kernel":      {bootImage(t, "kernel "), false},
		"another argument":     {bytes.ReplaceAll(one, []byte("quiet"), []byte("debug")), false},
		"another name":         {bytes.ReplaceAll(one, []byte("VMLINUZ"), []byte("VMLINUX")), false},
		"a file less":          {bytes.ReplaceAll(one, []byte("VMLINUZ"), []byte("\xe5MLINUZ")), false},
		"a file that is a lie": {bytes.ReplaceAll(one, []byte("VMLINUZ    \x20"), []byte("VMLINUZ    \x10")), false},
	} {
		got, err := bootfs.Same(bytes.NewReader(one), bytes.NewReader(test.other), limit, limit)
		if got != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, cut := range []int{0, 100, 5 * bootfs.Sector, len(one) / 2} {
		if got, err := bootfs.Same(bytes.NewReader(one), bytes.NewReader(one[:cut]), limit, int64(cut)); got && cut < 100*bootfs.Sector {
			t.Errorf("%d bytes are the same: %v", cut, err)
		}
	}
}
