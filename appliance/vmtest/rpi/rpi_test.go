// Package rpi is the story of the Raspberry Pi image: what its firmware needs
// is on the boot partition, and the image boots and serves in an emulated
// Raspberry Pi 3.
package rpi

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/vmtest"
)

// TestBootPartition checks the files that the firmware of a Pi looks for.
func TestBootPartition(t *testing.T) {
	image := vmtest.Image(t, "rpi").Out
	names := vmtest.BootDir(t, image, "")
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
	if overlays := vmtest.BootDir(t, image, "overlays"); len(overlays) < 100 {
		t.Errorf("%d device tree overlays, want all of them", len(overlays))
	}
	// Kernel Documentation/arch/arm64/booting.rst: the magic number is at 56.
	kernel := vmtest.BootFile(t, image, "vmlinuz")
	if len(kernel) < 64 || string(kernel[56:60]) != "ARM\x64" {
		t.Error("vmlinuz is no arm64 kernel")
	}
	// Devicetree specification, 5.2: the magic number.
	if tree := vmtest.BootFile(t, image, "bcm2711-rpi-4-b.dtb"); !bytes.HasPrefix(tree, []byte{0xd0, 0x0d, 0xfe, 0xed}) {
		t.Error("bcm2711-rpi-4-b.dtb is no device tree")
	}
	config := strings.Fields(string(vmtest.BootFile(t, image, "config.txt")))
	if !slices.Contains(config, "kernel=vmlinuz") || !slices.Contains(config, "enable_uart=1") {
		t.Errorf("config.txt: %q", config)
	}
	commandLine(t, image, 1, "quiet")
}

// commandLine checks that the kernel is told of a root partition: the first or
// the second one behind the boot partition of this very image; and of an argument.
func commandLine(t *testing.T, image string, root int, argument string) {
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, err := disk.FindPartition(f, disk.Boot)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Fields(string(vmtest.BootFile(t, image, "cmdline.txt")))
	for _, want := range []string{
		fmt.Sprintf("root=PARTUUID=%s/PARTNROFF=%d", boot.UUID, root), "init=/gokrazy/init", "rootwait", "console=serial0,115200", argument,
	} {
		if !slices.Contains(line, want) {
			t.Errorf("cmdline.txt has no %s: %q", want, line)
		}
	}
}

var network = flag.Bool("network", false, "send the update over the network, as everybody does: a quarter of an hour")

// next is the version after that of the image, with another argument for the kernel: a boot file system that is to be
// written over the one in use.
const (
	next     = "story-2"
	argument = "ramjet.story=2"
)

// TestRaspberryPi3 boots the image in QEMU's Raspberry Pi 3 and fetches a page
// over its USB network.
func TestRaspberryPi3(t *testing.T) {
	const page = "<!doctype html><title>A Pi</title><p>Served by a Raspberry Pi 3.\n"
	config := vmtest.Config{
		Board: "rpi", Perm: map[string]string{"www/index.html": page},
		Updates: map[string]func(map[string]any){next: func(config map[string]any) {
			config["KernelExtraArgs"] = append(config["KernelExtraArgs"].([]any), argument)
		}},
	}
	if !*network {
		config.Helper, config.Variant = true, "helper"
	}
	box := vmtest.Boot(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for _, line := range []string{"gokrazy build timestamp", "gokrazy device model Raspberry Pi 3", `now listening on /run/gokrazy-http\.sock`} {
		at, _, err := box.Machine.Serial.Wait(ctx, regexp.MustCompile(line), 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("after %.1f s: %s", at.At.Sub(box.Machine.Started).Seconds(), at.Text)
	}
	if got := box.ActiveRoot(); got != disk.RootA {
		t.Errorf("the box runs from root partition %d, want %d", got, disk.RootA)
	}
	up := box.WaitUp("/")
	if got := box.Get("/", nil); string(got.Body) != page {
		t.Errorf("status %d with %q, want the page on /perm", got.Status, got.Body)
	}
	t.Logf("after %.1f s: the first answer", up.Sub(box.Machine.Started).Seconds())
	if got := box.Version(); got != vmtest.Version {
		t.Errorf("the box runs version %q, want %q", got, vmtest.Version)
	}
	t.Run("update", func(t *testing.T) { update(t, box) })
}

// update sends the next version. It is tried with the kernel in use, confirmed, and started by the firmware from then on.
func update(t *testing.T, box *vmtest.Box) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	begun := time.Now()
	if err := box.Update(ctx, next); err != nil {
		t.Fatal(err)
	}
	t.Logf("after %.1f s: the update is confirmed", time.Since(begun).Seconds())
	given := func() bool {
		_, log := box.Ask("GET", "/logs/kernel?lines=10000", "", "")
		return strings.Contains(log, argument)
	}
	for _, when := range []string{"updated", "restarted"} {
		box.WaitUp("/")
		s := box.UpdateStatus()
		if n := len(s.History); n != 1 || s.History[n-1].Outcome != "confirmed" || s.Version != next || s.OnTrial || s.Root != disk.RootB {
			t.Errorf("%s, it says of its updates: %+v", when, s)
		}
		if when == "updated" {
			if given() {
				t.Errorf("the version was tried with %s, and not with the kernel in use", argument)
			}
			box.Reboot()
		}
	}
	box.WaitFor("the kernel is started with "+argument, given)
	commandLine(t, box.Disk, 2, argument)
}
