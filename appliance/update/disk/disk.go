// Package disk finds the partitions of a gokrazy box: boot, two roots and /perm, in that order on one disk.
package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The root partitions.
const (
	RootA = 2
	RootB = 3
)

// Disk is the box's disk, as the kernel shows it.
type Disk struct {
	Device    string         // all of it, for the master boot record
	Boot      string         // partition 1
	Roots     map[int]string // partitions 2 and 3
	Active    int            // the one of them that the command line names
	BootStart int64          // first sector of Boot on Device
	Names     map[int]string // of the roots on a kernel command line, behind root=
}

// Other returns the root partition that is not active.
func (d Disk) Other() int { return RootA + RootB - d.Active }

// The ways in which a command line of gokrazy's names a root.
var (
	byOffset = regexp.MustCompile(`(?:^|\s)root=PARTUUID=([0-9a-fA-F-]+)/PARTNROFF=([12])(?:\s|$)`)
	byNumber = regexp.MustCompile(`(?:^|\s)root=PARTUUID=([0-9a-fA-F]+)-0([23])(?:\s|$)`)
	byDevice = regexp.MustCompile(`(?:^|\s)root=/dev/(\w+?)(p?)([23])(?:\s|$)`)
)

// Find finds the disk that a kernel's command line names. sys is /sys, and dev is /dev.
func Find(line, sys, dev string) (Disk, error) {
	var d Disk
	var names func(n int) string
	var anchor string // a partition of the disk, as its uevent names it
	if m := byOffset.FindStringSubmatch(line); m != nil {
		offset, _ := strconv.Atoi(m[2])
		d.Active, anchor = 1+offset, "PARTUUID="+m[1]
		names = func(n int) string { return fmt.Sprintf("PARTUUID=%s/PARTNROFF=%d", m[1], n-1) }
	} else if m := byNumber.FindStringSubmatch(line); m != nil {
		d.Active, _ = strconv.Atoi(m[2])
		anchor = "PARTUUID=" + m[1] + "-01"
		names = func(n int) string { return fmt.Sprintf("PARTUUID=%s-%02d", m[1], n) }
	} else if m := byDevice.FindStringSubmatch(line); m != nil {
		d.Active, _ = strconv.Atoi(m[3])
		anchor = "DEVNAME=" + m[1] + m[2] + "1"
		names = func(n int) string { return fmt.Sprintf("/dev/%s%s%d", m[1], m[2], n) }
	} else {
		return Disk{}, fmt.Errorf("no root= as gokrazy has it on the command line %q", strings.TrimSpace(line))
	}
	boot, err := partition(sys, anchor)
	if err != nil {
		return Disk{}, err
	}
	// /sys/class/block has links to .../vda/vda1.
	real, err := filepath.EvalSymlinks(boot)
	if err != nil {
		return Disk{}, err
	}
	whole := filepath.Dir(real)
	d.Device = filepath.Join(dev, filepath.Base(whole))
	parts, err := filepath.Glob(filepath.Join(whole, "*", "partition"))
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
		case 1:
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

// partition returns the directory of the partition whose uevent has that line.
func partition(sys, line string) (string, error) {
	files, err := filepath.Glob(filepath.Join(sys, "class/block/*/uevent"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // It has just been pulled out.
		}
		for _, l := range strings.Split(string(text), "\n") {
			if strings.EqualFold(l, line) {
				return filepath.Dir(file), nil
			}
		}
	}
	return "", fmt.Errorf("no disk has a partition with %s", line)
}

// number reads a file with a number in it.
func number(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
