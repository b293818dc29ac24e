package partition

import (
	"errors"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// contentFlags hold for every content partition: it holds data. No program runs from it, no device node on it opens a device.
const contentFlags = unix.MS_NOEXEC | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME

// attempt is one way to mount a type.
type attempt struct {
	flags uintptr
	data  string
	next  []error // errors after which the next attempt is worth a try
}

// attempts lists, for each type, how it is mounted (ext4(5), mount(8) "Mount options for fat").
//
// A stick can ask for errors=panic in its superblock, so ext4 is told otherwise.
//
// FAT knows no modes: the masks make 0644 files and 0755 directories, so that the default rules of the accelerator
// (world-readable, no execute bit, not sticky) let the files through. Long names become UTF-8; only a kernel without that
// gets them as its default character set.
var attempts = map[Type][]attempt{
	Ext4: {
		{contentFlags, "errors=remount-ro", []error{unix.EROFS, unix.EACCES}}, // EACCES: the device is write-protected
		{contentFlags | unix.MS_RDONLY, "errors=remount-ro", nil},
	},
	VFAT: {
		{contentFlags | unix.MS_RDONLY, fatMasks + ",utf8=1", []error{unix.EINVAL}},
		{contentFlags | unix.MS_RDONLY, fatMasks, nil},
	},
}

const fatMasks = "fmask=0133,dmask=0022"

// mountPartition mounts the partition on dir, which must be there, and says whether it is read-only.
func (h host) mountPartition(p Partition, dir string) (readOnly bool, err error) {
	err = unix.ENODEV // of a type that has no attempts
	for _, a := range attempts[p.Type] {
		readOnly = a.flags&unix.MS_RDONLY != 0
		err = h.mount(filepath.Join(h.dev, p.Name), dir, p.Type, a.flags, a.data)
		if err == nil || !slices.ContainsFunc(a.next, func(e error) bool { return errors.Is(err, e) }) {
			break
		}
	}
	return readOnly, err
}

// advice says what somebody who holds the stick can do about a mount that failed.
func advice(err error) string {
	for _, a := range []struct {
		err    error
		advice string
	}{
		{unix.EINVAL, "damaged, or made with features that this kernel does not have: check it with e2fsck or fsck.vfat, or format it anew"},
		{unix.EUCLEAN, "damaged: check it with e2fsck"},
		{unix.EBADMSG, "damaged: check it with e2fsck"},
		{unix.EROFS, "write-protected and not unmounted cleanly: plug it in once without the protection, or check it with e2fsck"},
		{unix.EACCES, "write-protected and not unmounted cleanly: plug it in once without the protection, or check it with e2fsck"},
		{unix.EIO, "it does not answer reliably: try another port or another stick"},
		{unix.ENXIO, "it went away: plug it in again"},
		{unix.ENOENT, "it went away: plug it in again"},
		{unix.EBUSY, "it is mounted elsewhere, or files of it are open from before; plug the reader in again, and do not name it in MountDevices"},
		{unix.ENODEV, "this kernel has no driver for it: format it as ext4 or FAT32"},
	} {
		if errors.Is(err, a.err) {
			return a.advice
		}
	}
	return "check it on a computer, or format it anew"
}
