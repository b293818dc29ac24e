// Package disk finds the partitions of a gokrazy box: boot, two roots and /perm, in that order on one disk.
package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Disk is the box's disk, as the kernel shows it.
type Disk struct {
	Device    string         // all of it, for the master boot record
	Boot      string         // partition 1
	Roots     map[int]string // partitions 2 and 3
	Active    int            // the one of them that the command line names, or that is on trial by it
	BootStart int64          // first sector of Boot on Device
	Names     map[int]string // of the roots on a kernel command line, behind root=
}

// Runs tells whether the root in use is the active one. It is not if the guard of a trial could not begin it.
func (d Disk) Runs() (bool, error) {
	var root, active unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		return false, err
	}
	if err := unix.Stat(d.Roots[d.Active], &active); err != nil {
		return false, fmt.Errorf("%s: %w", d.Roots[d.Active], err)
	}
	return root.Dev == active.Rdev, nil
}

// Other returns the root partition that is not active.
func (d Disk) Other() int { return RootA + RootB - d.Active }

// The ways in which a command line of gokrazy's names a root.
var (
	byOffset = regexp.MustCompile(`(?:^|\s)root=PARTUUID=([0-9a-fA-F-]+)/PARTNROFF=([12])(?:\s|$)`)
	byNumber = regexp.MustCompile(`(?:^|\s)root=PARTUUID=([0-9a-fA-F]+)-0([23])(?:\s|$)`)
	byDevice = regexp.MustCompile(`(?:^|\s)root=/dev/(\w+?)(p?)([23])(?:\s|$)`)
)

// onTrial is the argument by which a root is used once, though root= names another one.
var onTrial = regexp.MustCompile(`(?:^|\s)` + regexp.QuoteMeta(Once) + `([23])(?:\s|$)`)

// Once is that argument, before the number of the partition.
const Once = "ramjet.partition="

// Find finds the disk that a kernel's command line names. sys is /sys, and dev is /dev.
func Find(line, sys, dev string) (Disk, error) {
	var d Disk
	var names func(n int) string
	var is func(name string) bool
	if m := byOffset.FindStringSubmatch(line); m != nil {
		d.Active = int(m[2][0]-'0') + 1
		is = func(name string) bool { return strings.EqualFold(firstPartition(filepath.Join(dev, name)), m[1]) }
		names = func(n int) string { return fmt.Sprintf("PARTUUID=%s/PARTNROFF=%d", m[1], n-1) }
	} else if m := byNumber.FindStringSubmatch(line); m != nil {
		d.Active, _ = strconv.Atoi(m[2])
		is = func(name string) bool { return strings.EqualFold(signature(filepath.Join(dev, name)), m[1]) }
		names = func(n int) string { return fmt.Sprintf("PARTUUID=%s-%02d", m[1], n) }
	} else if m := byDevice.FindStringSubmatch(line); m != nil {
		d.Active, _ = strconv.Atoi(m[3])
		is = func(name string) bool { return name == m[1] }
		names = func(n int) string { return fmt.Sprintf("/dev/%s%s%d", m[1], m[2], n) }
	} else {
		return Disk{}, fmt.Errorf("no root= as gokrazy has it on the command line %q", strings.TrimSpace(line))
	}
	if m := onTrial.FindStringSubmatch(line); m != nil {
		d.Active, _ = strconv.Atoi(m[1])
	}
	disks, err := os.ReadDir(filepath.Join(sys, "block"))
	if err != nil {
		return Disk{}, err
	}
	at := slices.IndexFunc(disks, func(e os.DirEntry) bool { return is(e.Name()) })
	if at < 0 {
		return Disk{}, fmt.Errorf("no disk is the one on the command line %q", strings.TrimSpace(line))
	}
	name := disks[at].Name()
	d.Device = filepath.Join(dev, name)
	parts, err := filepath.Glob(filepath.Join(sys, "block", name, "*", "partition"))
	if err != nil {
		return Disk{}, err
	}
	d.Roots, d.Names = map[int]string{}, map[int]string{}
	for _, p := range parts {
		n, err := number(p)
		if err != nil {
			return Disk{}, err
		}
		device := filepath.Join(dev, filepath.Base(filepath.Dir(p)))
		switch n {
		case Boot:
			d.Boot = device
			if d.BootStart, err = number(filepath.Join(filepath.Dir(p), "start")); err != nil {
				return Disk{}, err
			}
		case RootA, RootB:
			d.Roots[int(n)], d.Names[int(n)] = device, names(int(n))
		}
	}
	if d.Boot == "" || len(d.Roots) != 2 {
		return Disk{}, fmt.Errorf("%s has not the partitions of a gokrazy box", d.Device)
	}
	return d, nil
}

// What a disk is called is read from the disk itself: the kernel's list in /sys has it since Linux 6.13 only.

// firstPartition is the UUID of a disk's first partition, or nothing.
func firstPartition(device string) string {
	f, err := os.Open(device)
	if err != nil {
		return "" // It has just been pulled out.
	}
	defer f.Close()
	p, _ := FindPartition(f, Boot)
	return p.UUID
}

// signature is what a master boot record calls its disk (Linux, block/partitions/msdos.c), or nothing.
func signature(device string) string {
	f, err := os.Open(device)
	if err != nil {
		return ""
	}
	defer f.Close()
	id := make([]byte, 4)
	if _, err := f.ReadAt(id, 440); err != nil {
		return ""
	}
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(id))
}

// number reads a file with a number in it.
func number(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
