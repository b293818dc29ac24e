package partition

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Mount is a file system that is mounted in a directory of ours.
type Mount struct {
	Dir      string // where it is mounted
	Number   string // "major:minor" of its block device
	ReadOnly bool   // the mount, or the file system as a whole (as after an error with errors=remount-ro)
	Seq      uint64 // of the device when we mounted it; 0 if an earlier run of the program did
}

// parseMountinfo reads a /proc/<pid>/mountinfo (man 5 proc_pid_mountinfo) and returns the mounts directly below the
// directory, in the order of the file. Of several mounts on one directory only the last counts, which hides the others.
//
//	36 35 8:1 / /run/ramjet/media/sda1 rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
func parseMountinfo(r io.Reader, below string) ([]Mount, error) {
	var mounts []Mount
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		dash := slices.Index(fields, "-")
		if dash < 6 || len(fields) < dash+4 {
			return nil, fmt.Errorf("mountinfo: line %q has not the fields of proc_pid_mountinfo(5)", lines.Text())
		}
		m := Mount{
			Dir:      unescape(fields[4]),
			Number:   fields[2],
			ReadOnly: hasOption(fields[5], "ro") || hasOption(fields[dash+3], "ro"),
		}
		if filepath.Dir(m.Dir) != filepath.Clean(below) {
			continue
		}
		mounts = slices.DeleteFunc(mounts, func(o Mount) bool { return o.Dir == m.Dir })
		mounts = append(mounts, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("mountinfo: %w", err)
	}
	return mounts, nil
}

func hasOption(list, option string) bool {
	return slices.Contains(strings.Split(list, ","), option)
}

// unescape undoes the \040 that the kernel writes for a space, and its like for tab, newline, backslash and #.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
