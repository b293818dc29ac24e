package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// diskBytes is the size of the image, most of which is never written.
const diskBytes = 8 << 30

// newDisk makes a file system of its own for what is measured. On one that is in use, files which somebody has deleted in the
// last minutes make every new one take longer: ext4 looks at their inodes one after the other, to avoid them.
func newDisk(ctx context.Context, dir string) (mounted string, unmount func(), err error) {
	image, mounted := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := os.Mkdir(mounted, 0o755); err != nil {
		return "", nil, err
	}
	f, err := os.Create(image)
	if err != nil {
		return "", nil, err
	}
	err = f.Truncate(diskBytes)
	f.Close()
	if err != nil {
		return "", nil, err
	}
	for _, command := range [][]string{
		{"mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image},
		{"mount", "-o", "loop", image, mounted},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("%v: %w\n%s", command, err, out)
		}
	}
	return mounted, func() {
		if out, err := exec.Command("umount", mounted).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "umount %s: %v\n%s", mounted, err, out)
		}
	}, nil
}
