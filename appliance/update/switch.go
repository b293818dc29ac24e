package update

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"ramjet/appliance/update/bootfs"
)

// Switch writes the parts that are there to the partitions that are not in use, and has the next restart try them.
func (u *Updater) Switch(ctx context.Context) error {
	if !u.turn.TryLock() {
		return errBusy
	}
	defer u.turn.Unlock()
	if u.trying.Load() {
		return refuse(http.StatusConflict, "the running version is still on trial")
	}
	if err := u.vouched(); err != nil {
		return err
	}
	root, err := os.Open(u.stage.path(rootPart))
	if err != nil {
		return refuse(http.StatusConflict, "no root has been sent")
	}
	defer root.Close()
	boot, err := os.OpenFile(u.stage.path(bootPart), os.O_RDWR, 0)
	if err != nil {
		return refuse(http.StatusConflict, "no boot file system has been sent")
	}
	defer boot.Close()
	// From now on the partitions hold nothing whole.
	if err := u.change(func(s *State) { s.Spare, s.Trial = nil, nil }); err != nil {
		return err
	}
	to := Version{Root: u.Disk.Other()}
	if to.Hash, err = u.writeRoot(root, to.Root); err != nil {
		return err
	}
	inPlace, err := u.writeBoot(boot, &to)
	if err != nil {
		return err
	}
	trial, err := u.newTrial(to, u.Health.Look(ctx))
	if err != nil {
		return err
	}
	trial.InPlace = inPlace
	if u.list != nil {
		trial.Signed = u.list.Made
	}
	err = u.change(func(s *State) {
		if s.Trial = trial; !inPlace {
			s.Spare = &to
		}
	})
	if err != nil {
		return err
	}
	u.Log.Info("an update is ready for its trial", "id", trial.ID, "from", trial.From, "to", to)
	if inPlace && u.once {
		u.Log.Warn("a new kernel comes with it, and is not tried: it is written when the rest has proven itself, and runs from the next restart on")
	}
	if inPlace {
		return nil // Its kernel is in the file until then.
	}
	return u.stage.clear()
}

// newTrial returns a trial of a version, not started yet; before is how the box was, in the words of Health.
func (u *Updater) newTrial(to Version, before json.RawMessage) (*Trial, error) {
	from := Version{Root: u.Disk.Active, Name: u.Name}
	var err error
	if from.First, err = readAt(u.Disk.Boot, 0, bootfs.Sector); err != nil {
		return nil, err
	}
	if from.Record, err = readAt(u.Disk.Device, 0, recordSize); err != nil {
		return nil, err
	}
	return &Trial{
		ID: newID(), From: from, To: to,
		Switched: time.Now().UTC().Truncate(time.Second), Before: before,
	}, nil
}

// newID names a trial.
func newID() string { return rand.Text()[:12] }

// writeRoot writes the root to its partition, and returns its hash.
func (u *Updater) writeRoot(root *os.File, to int) (string, error) {
	n, err := root.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if err := copyTo(u.Disk.Roots[to], 0, root, 0, n); err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, io.NewSectionReader(root, 0, n))
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}

// writeBoot writes the boot file system beside the one in use, and into the version how to start it. Where there is no
// room for two it leaves it in the file, and says so unless the one in use will do.
func (u *Updater) writeBoot(boot *os.File, to *Version) (inPlace bool, err error) {
	n, err := boot.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if err := bootfs.SetRoot(boot, n, u.Disk.Names[to.Root]); err != nil {
		return false, refuse(http.StatusUnprocessableEntity, "%s: %w", bootPart, err)
	}
	first := make([]byte, bootfs.Sector)
	if _, err := boot.ReadAt(first, 0); err != nil {
		return false, err
	}
	image, err := bootfs.ReadLayout(first)
	if err != nil {
		return false, err
	}
	now, err := readAt(u.Disk.Boot, 0, bootfs.Sector)
	if err != nil {
		return false, err
	}
	inUse, err := bootfs.ReadLayout(now)
	if err != nil {
		return false, err
	}
	slot, err := place(image, inUse, u.stage.limits[bootPart])
	if errors.Is(err, errNoRoom) || u.once { // Of which the firmware would start the kernel without being asked.
		return u.newBoot(boot, n), nil
	}
	from := int64(image.Reserved) * bootfs.Sector
	if err := copyTo(u.Disk.Boot, int64(slot)*bootfs.Sector, boot, from, n-from); err != nil {
		return false, err
	}
	if to.First, err = moved(first, slot); err != nil {
		return false, err
	}
	to.Record, err = u.record(to.First)
	return false, err
}

// newBoot tells whether a boot file system of n bytes has something that the one in use has not.
func (u *Updater) newBoot(boot *os.File, n int64) bool {
	inUse, err := os.Open(u.Disk.Boot)
	if err != nil {
		return true
	}
	defer inUse.Close()
	is, err := bootfs.Same(boot, inUse, n, u.stage.limits[bootPart])
	if err != nil {
		u.Log.Warn("the boot file systems cannot be compared", "err", err)
	}
	return !is
}

// record returns the master boot record that starts the boot file system with that first sector.
func (u *Updater) record(first []byte) ([]byte, error) {
	text, err := os.ReadFile(u.stage.path(recordPart))
	if errors.Is(err, os.ErrNotExist) {
		text, err = readAt(u.Disk.Device, 0, recordSize)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(u.Disk.Boot)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return point(text, bootfs.WithFirst{ReaderAt: f, First: first}, u.stage.limits[bootPart], u.Disk.BootStart)
}
