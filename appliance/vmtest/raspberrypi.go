package vmtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/vmtest/qemu"
)

// BootFile returns a file of an image's boot partition.
func BootFile(t testing.TB, disk, name string) []byte {
	t.Helper()
	content, err := bootFile(t.Context(), disk, name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func bootFile(ctx context.Context, image, name string) ([]byte, error) {
	partition, err := bootPartition(image)
	if err != nil {
		return nil, err
	}
	content, err := exec.CommandContext(ctx, "mtype", "-i", partition, "::/"+name).Output()
	if err != nil {
		return nil, fmt.Errorf("mtype %s of %s: %w", name, image, err)
	}
	return content, nil
}

// BootDir lists a directory of an image's boot partition; "" is its root.
func BootDir(t testing.TB, disk, name string) []string {
	t.Helper()
	partition, err := bootPartition(disk)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "mdir", "-b", "-i", partition, "::/"+name).Output()
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
func bootPartition(image string) (string, error) {
	f, err := os.Open(image)
	if err != nil {
		return "", err
	}
	defer f.Close()
	boot, err := disk.FindPartition(f, disk.Boot)
	return fmt.Sprintf("%s@@%d", image, boot.Offset), err
}

// emulator is what QEMU's raspi3b (7.2) needs on the kernel's command line,
// beyond what a real Raspberry Pi gets:
//   - it has no fast interrupts for the USB controller's driver, which panics;
//   - it resets the machine when the watchdog is started, instead of waiting
//     for it to run out.
const emulator = "dwc_otg.fiq_enable=0 dwc_otg.fiq_fsm_enable=0 initcall_blacklist=bcm2835_wdt_driver_init"

// raspberryPi does what a Raspberry Pi's firmware does: it takes kernel, device
// tree and command line from the boot partition. The consoles are changed: the
// serial port has another name, and the emulated screen is painfully slow.
func raspberryPi(ctx context.Context, m *qemu.Machine) error {
	for name, to := range map[string]*string{"vmlinuz": &m.Kernel, "bcm2710-rpi-3-b.dtb": &m.DeviceTree} {
		content, err := bootFile(ctx, m.Disk, name)
		if err != nil {
			return err
		}
		*to = filepath.Join(m.Dir, name)
		if err := os.WriteFile(*to, content, 0o644); err != nil {
			return err
		}
	}
	line, err := bootFile(ctx, m.Disk, "cmdline.txt")
	if err != nil {
		return err
	}
	consoles := strings.NewReplacer("console=serial0,", "console=ttyS0,", "console=tty1 ", "")
	m.CommandLine = consoles.Replace(strings.TrimSpace(string(line))) + " " + emulator
	return nil
}

// restarts is what the kernel says when the firmware has its turn: at once, or after a panic when it has waited that long.
var restarts = regexp.MustCompile(`reboot: Restarting system|Rebooting in (\d+) seconds`)

// firmware starts the machine anew whenever its kernel wants that, from what is on the boot partition by then: QEMU has none
// of a Raspberry Pi's firmware, and without its watchdog's driver the kernel cannot restart by itself. It returns when the
// machine is switched off, or ctx ends.
func firmware(ctx context.Context, m *qemu.Machine) error {
	for n := 0; ; n++ {
		_, said, err := m.Serial.Wait(ctx, restarts, n)
		if err != nil {
			return nil
		}
		patience, _ := time.ParseDuration(said[1] + "s")
		select {
		case <-time.After(patience):
		case <-ctx.Done():
			return nil
		case <-m.Done():
			return nil
		}
		err = raspberryPi(ctx, m)
		if err == nil {
			err = m.Cycle(context.WithoutCancel(ctx))
		}
		if err != nil {
			return fmt.Errorf("restarting the Raspberry Pi: %w", err)
		}
	}
}
