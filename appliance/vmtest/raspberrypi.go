package vmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/vmtest/qemu"
)

// BootFile returns a file of an image's boot partition.
func BootFile(t testing.TB, disk, name string) []byte {
	t.Helper()
	to := filepath.Join(TempDir(t), "file")
	command(t, "mcopy", "-i", bootPartition(t, disk), "::/"+name, to)
	content, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// BootDir lists a directory of an image's boot partition; "" is its root.
func BootDir(t testing.TB, disk, name string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mdir", "-b", "-i", bootPartition(t, disk), "::/"+name).Output()
	if err != nil {
		t.Fatalf("mdir %s: %v", name, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		names = append(names, filepath.Base(strings.TrimSpace(line)))
	}
	return names
}

// bootPartition is how mtools names the boot partition of a disk image.
func bootPartition(t testing.TB, disk string) string {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, err := instance.FindPartition(f, instance.Boot)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s@@%d", disk, boot.Offset)
}

// raspberryPi does what a Raspberry Pi's firmware does: it takes kernel, device
// tree and command line from the boot partition. The consoles are changed: the
// serial port has another name, and the emulated screen is painfully slow.
func raspberryPi(t testing.TB, m *qemu.Machine, appended string) {
	t.Helper()
	for name, to := range map[string]*string{"vmlinuz": &m.Kernel, "bcm2710-rpi-3-b.dtb": &m.DeviceTree} {
		*to = filepath.Join(m.Dir, name)
		if err := os.WriteFile(*to, BootFile(t, m.Disk, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := strings.TrimSpace(string(BootFile(t, m.Disk, "cmdline.txt")))
	consoles := strings.NewReplacer("console=serial0,", "console=ttyS0,", "console=tty1 ", "")
	m.CommandLine = consoles.Replace(line) + " " + appended
}
