package partition

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"
)

func TestHeldDisks(t *testing.T) {
	devices := []Device{
		{Name: "sda", Disk: "sda", Number: "8:0", Seq: 1}, {Name: "sda1", Disk: "sda", Number: "8:1", Seq: 1},
		{Name: "sdb", Disk: "sdb", Number: "8:16", Seq: 2}, {Name: "sdc", Disk: "sdc", Number: "8:32", Seq: 3},
	}
	mounts := []Mount{
		{Dir: "/m/sdb", Number: "8:16", Seq: 9}, // another medium by now
		{Dir: "/m/sdz", Number: "8:99"},         // gone
		{Dir: "/m/sda1", Number: "8:1", Seq: 1},
		{Dir: "/m/sdc", Number: "8:32"}, // mounted by an earlier run
	}
	want := map[string]bool{"sda": true, "sdc": true}
	if diff := cmp.Diff(want, heldDisks("/m", devices, mounts)); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

// Pipes stand in for disks: one can be opened for writing once somebody opened it for reading.
func TestPokeReaders(t *testing.T) {
	block, dev := t.TempDir(), t.TempDir()
	for name, removable := range map[string]string{"sda": "0", "sdb": "1", "sdb1": "", "sdc": "1"} {
		if err := os.Mkdir(filepath.Join(block, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if removable == "" {
			continue // partitions do not have the file
		}
		if err := os.WriteFile(filepath.Join(block, name, "removable"), []byte(removable+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sda", "sdb", "sdb1"} { // sdc went away meanwhile
		if err := unix.Mkfifo(filepath.Join(dev, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pokeReaders(block, dev)
	}()
	w, err := os.OpenFile(filepath.Join(dev, "sdb"), os.O_WRONLY, 0) // waits until it is poked
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	<-done // it waited for no other
}
