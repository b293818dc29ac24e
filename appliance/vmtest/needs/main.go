// Command needs looks for the programs that the tests run, and installs the
// missing ones with apt where it may. It does nothing when all are there.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/vmtest/site"
)

// need is a program or a file, and the Debian package that has it.
type need struct{ name, debianPackage string }

// needs lists what the tests run. A name with a slash is a file.
func needs() []need {
	return []need{
		{"qemu-system-x86_64", "qemu-system-x86"},
		{"qemu-system-aarch64", "qemu-system-arm"},
		{"/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64"},
		{"mkfs.ext4", "e2fsprogs"},
		{"debugfs", "e2fsprogs"},
		{"mkfs.vfat", "dosfstools"},
		{"losetup", "mount"},
		{"mcopy", "mtools"},
		{"git", "git"},
		{"minisign", "minisign"},
		// Not the package apache2, which would start a server on port 80.
		{"apache2", "apache2-bin"},
		{"/usr/lib/cgit/cgit.cgi", "cgit"},
	}
}

// missing returns the Debian packages of what is not there.
func missing(wanted []need) []string {
	var packages []string
	for _, n := range wanted {
		var err error
		if strings.HasPrefix(n.name, "/") {
			_, err = os.Stat(n.name)
		} else {
			_, err = instance.LookTool(n.name, n.debianPackage)
		}
		if err != nil && !slices.Contains(packages, n.debianPackage) {
			packages = append(packages, n.debianPackage)
		}
	}
	return packages
}

func main() {
	packages := missing(needs())
	if len(packages) == 0 && archiveKnown() {
		return
	}
	list := strings.Join(packages, " ")
	if list == "" {
		list = "apt's package lists (apt-get update)"
	}
	prefix, able := apt()
	if !able {
		fmt.Fprintf(os.Stderr, "the tests need, from Debian: %s\n", list)
		os.Exit(1)
	}
	fmt.Printf("installing %s\n", list)
	commands := [][]string{{"apt-get", "update", "-qq"}}
	if len(packages) > 0 {
		commands = append(commands, append([]string{"apt-get", "install", "-qq", "-y", "--no-install-recommends"}, packages...))
	}
	for _, command := range commands {
		if err := run(append(slices.Clone(prefix), command...)); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v; the tests need, from Debian: %s\n", strings.Join(command[:2], " "), err, list)
			os.Exit(1)
		}
	}
	if still := missing(needs()); len(still) > 0 {
		fmt.Fprintf(os.Stderr, "installed, and yet missing: what the tests need from %s\n", strings.Join(still, " "))
		os.Exit(1)
	}
}

// archiveKnown says whether apt knows the packages from which the stories take
// their site; on a new machine its lists are empty.
func archiveKnown() bool {
	for _, name := range site.Packages() {
		// It succeeds, with nothing to show, for a package that it does not know.
		out, err := exec.Command("apt-cache", "show", name).Output()
		if err != nil || len(out) == 0 {
			return false
		}
	}
	return true
}

// apt says whether this program may install packages, and behind which prefix.
func apt() (prefix []string, able bool) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, false
	}
	if os.Getuid() == 0 {
		return []string{"env", "DEBIAN_FRONTEND=noninteractive"}, true
	}
	if exec.Command("sudo", "-n", "true").Run() != nil {
		return nil, false
	}
	return []string{"sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"}, true
}

func run(command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
