// Package rpi is the story of the Raspberry Pi image: what its firmware needs
// is on the boot partition, and the image boots and serves in an emulated
// Raspberry Pi 3.
package rpi

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/vmtest"
)

// emulator is what QEMU's raspi3b (7.2) needs on the kernel's command line,
// beyond what a real Raspberry Pi gets:
//   - it has no fast interrupts for the USB controller's driver, which panics;
//   - it resets the machine when the watchdog is started, instead of waiting
//     for it to run out.
const emulator = "dwc_otg.fiq_enable=0 dwc_otg.fiq_fsm_enable=0 initcall_blacklist=bcm2835_wdt_driver_init"

// TestBootPartition checks the files that the firmware of a Pi looks for.
func TestBootPartition(t *testing.T) {
	disk := vmtest.Image(t, "rpi").Out
	names := vmtest.BootDir(t, disk, "")
	for _, want := range []string{
		// The firmware of a Pi 3 and Zero 2 W, of a Pi 4; a Pi 5 has it in its EEPROM.
		"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat",
		"pieeprom.upd", "pieeprom.sig", "recovery.bin",
		"vmlinuz", "cmdline.txt", "config.txt",
		"bcm2710-rpi-3-b.dtb", "bcm2710-rpi-3-b-plus.dtb", "bcm2710-rpi-zero-2-w.dtb",
		"bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s on the boot partition", want)
		}
	}
	if overlays := vmtest.BootDir(t, disk, "overlays"); len(overlays) < 100 {
		t.Errorf("%d device tree overlays, want all of them", len(overlays))
	}
	// Kernel Documentation/arch/arm64/booting.rst: the magic number is at 56.
	kernel := vmtest.BootFile(t, disk, "vmlinuz")
	if len(kernel) < 64 || string(kernel[56:60]) != "ARM\x64" {
		t.Error("vmlinuz is no arm64 kernel")
	}
	// Devicetree specification, 5.2: the magic number.
	if tree := vmtest.BootFile(t, disk, "bcm2711-rpi-4-b.dtb"); !bytes.HasPrefix(tree, []byte{0xd0, 0x0d, 0xfe, 0xed}) {
		t.Error("bcm2711-rpi-4-b.dtb is no device tree")
	}
	config := strings.Fields(string(vmtest.BootFile(t, disk, "config.txt")))
	if !slices.Contains(config, "kernel=vmlinuz") || !slices.Contains(config, "enable_uart=1") {
		t.Errorf("config.txt: %q", config)
	}
	commandLine(t, disk)
}

// commandLine checks that the kernel is told of root partition 2: the one
// behind the boot partition of this very image.
func commandLine(t *testing.T, disk string) {
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, err := instance.FindPartition(f, instance.Boot)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Fields(string(vmtest.BootFile(t, disk, "cmdline.txt")))
	for _, want := range []string{
		"root=PARTUUID=" + boot.UUID + "/PARTNROFF=1", "init=/gokrazy/init", "rootwait", "console=serial0,115200",
	} {
		if !slices.Contains(line, want) {
			t.Errorf("cmdline.txt has no %s: %q", want, line)
		}
	}
}

// TestRaspberryPi3 boots the image in QEMU's Raspberry Pi 3 and fetches a page
// over its USB network.
func TestRaspberryPi3(t *testing.T) {
	const page = "<!doctype html><title>A Pi</title><p>Served by a Raspberry Pi 3.\n"
	box := vmtest.Boot(t, vmtest.Config{
		Board: "rpi", Append: emulator, Perm: map[string]string{"www/index.html": page},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for _, line := range []string{"gokrazy build timestamp", "gokrazy device model Raspberry Pi 3", `now listening on /run/gokrazy-http\.sock`} {
		at, _, err := box.Machine.Serial.Wait(ctx, regexp.MustCompile(line), 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("after %.1f s: %s", at.At.Sub(box.Machine.Started).Seconds(), at.Text)
	}
	if got := box.ActiveRoot(); got != instance.RootA {
		t.Errorf("the box runs from root partition %d, want %d", got, instance.RootA)
	}
	up := box.WaitUp("/")
	if got := box.Get("/", nil); string(got.Body) != page {
		t.Errorf("status %d with %q, want the page on /perm", got.Status, got.Body)
	}
	t.Logf("after %.1f s: the first answer", up.Sub(box.Machine.Started).Seconds())
	if got := box.Version(); got != vmtest.Version {
		t.Errorf("the box runs version %q, want %q", got, vmtest.Version)
	}
}
