package partition

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountAttempts(t *testing.T) {
	const ro = "ro "
	for _, test := range []struct {
		name     string
		kind     Type
		answers  []error
		want     []string // the data of each call, with "ro " in front of a read-only one
		readOnly bool
		err      error
	}{
		{"exFAT", ExFAT, nil, nil, false, unix.ENODEV},
		{"damaged ext4", Ext4, []error{unix.EUCLEAN}, []string{"errors=remount-ro"}, false, unix.EUCLEAN},
		{"write-protected ext4 with a journal to replay", Ext4, []error{unix.EACCES, unix.EROFS},
			[]string{"errors=remount-ro", ro + "errors=remount-ro"}, true, unix.EROFS},
		{"no vfat in the kernel", VFAT, []error{unix.ENODEV}, []string{ro + fatMasks + ",utf8=1"}, true, unix.ENODEV},
		{"damaged FAT", VFAT, []error{unix.EINVAL, unix.EINVAL},
			[]string{ro + fatMasks + ",utf8=1", ro + fatMasks}, true, unix.EINVAL},
		{"ext4", Ext4, []error{nil}, []string{"errors=remount-ro"}, false, nil},
		{"write-protected ext4", Ext4, []error{unix.EACCES, nil},
			[]string{"errors=remount-ro", ro + "errors=remount-ro"}, true, nil},
		{"FAT", VFAT, []error{nil}, []string{ro + fatMasks + ",utf8=1"}, true, nil},
		{"FAT without UTF-8 in the kernel", VFAT, []error{unix.EINVAL, nil},
			[]string{ro + fatMasks + ",utf8=1", ro + fatMasks}, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls []string
			h := host{dev: "/dev", mount: func(source, dir string, kind Type, flags uintptr, data string) error {
				if source != "/dev/sda1" || dir != "/m/sda1" || kind != test.kind || flags&contentFlags != contentFlags {
					t.Errorf("mount %s %s %s %#x", source, dir, kind, flags)
				}
				if flags&unix.MS_RDONLY != 0 {
					data = ro + data
				}
				calls = append(calls, data)
				if err := test.answers[len(calls)-1]; err != nil {
					return fmt.Errorf("mount: %w", err)
				}
				return nil
			}}
			p := Partition{Device{Name: "sda1"}, Superblock{Type: test.kind}}
			readOnly, err := h.mountPartition(p, "/m/sda1")
			if !slices.Equal(calls, test.want) || readOnly != test.readOnly || !errors.Is(err, test.err) {
				t.Errorf("calls %q, read-only %v, error %v", calls, readOnly, err)
			}
			if err != nil && advice(err) == advice(errors.New("another")) {
				t.Errorf("no advice for %v", err)
			}
		})
	}
}
