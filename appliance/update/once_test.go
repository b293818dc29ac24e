package update

import (
	"os"
	"strings"
	"testing"

	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/disk"
)

// Where the firmware starts a trial, the command line says so for one start, and the kernel in use is that of the trial.
func TestOnce(t *testing.T) {
	m := newMachine(t)
	m.once = true
	boot, err := os.OpenFile(m.disk.Boot, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer boot.Close()
	// guard is what package guard does first.
	guard := func() {
		t.Helper()
		if err := bootfs.NoMore(boot, bootSize); err != nil {
			t.Fatal(err)
		}
	}
	for i, test := range []struct {
		kernel  string
		root    int
		healthy bool
	}{{"kernel 1", disk.RootB, true}, {"kernel 1", disk.RootA, true}, {"kernel 2", disk.RootB, true}, {"kernel 2", disk.RootA, false}} {
		u, before := m.back()
		send(t, run(t, &Server{Gokrazy: gokrazy(t), Updates: u}), rootImage(strings.Repeat("x", i+1)), bootImage(t, test.kernel))
		if trial, err := u.Start(); !trial || err != nil {
			t.Fatal(trial, err)
		}
		kernel, line := m.boots()
		if kernel != before || !strings.Contains(line, "ramjet.trial="+u.state.Trial.ID+" "+disk.Once) || !strings.Contains(line, "init="+guardProgram) ||
			strings.Contains(line, " ramjet.lend ") != (test.kernel != before) {
			t.Fatalf("update %d: the firmware starts %s with %q", i, kernel, line)
		}
		guard()
		m.loaded = line
		tried := m.tried(test.root)
		if test.healthy {
			over(t, tried)
		}
		if _, line := m.boots(); strings.Contains(line, "ramjet.trial") {
			t.Errorf("update %d: the next start is one of the trial: %q", i, line)
		}
		want, outcome := test.root, "confirmed"
		if !test.healthy {
			want, outcome = disk.RootB, "reverted"
		}
		u, kernel = m.back()
		if o := last(t, u); o.Outcome != outcome || m.disk.Active != want || kernel != test.kernel {
			t.Errorf("update %d: %+v, from %d with %s", i, o, m.disk.Active, kernel)
		}
	}
}
