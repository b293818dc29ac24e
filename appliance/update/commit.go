package update

import (
	"io"
	"os"

	"ramjet/appliance/update/bootfs"
)

// commit makes the trial's version the one that the box starts. At each moment one of two whole versions is. Hold mu.
func (u *Updater) commit() error {
	t := u.state.Trial
	t.Commit = true
	if err := u.save(); err != nil {
		return err
	}
	old := t.From
	old.Proven = !t.Back // Who went back does not want to come here again.
	switch {
	case len(t.To.First) > 0:
		if err := writeAt(u.Disk.Device, 0, t.To.Record); err != nil {
			return err
		}
		if err := writeAt(u.Disk.Boot, 0, t.To.First); err != nil {
			return err
		}
	case t.InPlace:
		old.First, old.Record = nil, nil
		u.confirm(t.ID) // The guard has to go first: on a slow card it would lose its patience in the middle of this.
		if err := u.overwriteBoot(); err != nil {
			return err
		}
	default: // The kernel in use stays, with another root.
		old.First, old.Record = nil, nil
		f, limit, err := bootfs.Open(u.Disk.Boot, os.O_RDWR)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := bootfs.SetRoot(f, limit, u.Disk.Names[t.To.Root]); err != nil {
			return err
		}
	}
	id := t.ID
	u.state.Spare, u.state.Confirmed = &old, id
	if t.Signed.After(u.state.Signed) {
		u.state.Signed = t.Signed
	}
	o := u.state.end("confirmed", t.Why)
	if err := u.save(); err != nil {
		return err
	}
	u.trying.Store(false)
	u.confirm(id)
	u.Log.Info("the update is confirmed", "trial", id, "from", o.From, "to", o.To)
	tell("update to %s confirmed", o.To)
	if err := u.stage.clear(); err != nil {
		u.Log.Error("parts of an update stay on /perm", "err", err)
	}
	return nil
}

// finish completes what a power cut has left of overwriteBoot, if the box has come up from that, and has it start anew. It
// reports whether it does.
func (u *Updater) finish(t *Trial) bool {
	if !t.Commit || !t.InPlace || u.Disk.Active == t.To.Root {
		return false
	}
	f, n, err := bootfs.Open(u.stage.path(bootPart), os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	has, _, err := bootfs.Open(u.Disk.Boot, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer has.Close()
	if whole, err := bootfs.Equal(io.NewSectionReader(has, 0, n), io.NewSectionReader(f, 0, n)); whole || err != nil {
		return false
	}
	if err := u.overwriteBoot(); err != nil {
		u.Log.Error("the boot file system is neither the old nor the new one", "err", err)
		return false
	}
	tell("the boot file system is whole again, and starts %s", t.To)
	u.reboot()
	return true
}

// overwriteBoot writes the boot file system over the one in use, where there is no room for two: what differs, and no more.
// It is the one thing that a power cut can break.
func (u *Updater) overwriteBoot() error {
	f, n, err := bootfs.Open(u.stage.path(bootPart), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := patchTo(u.Disk.Boot, f, n); err != nil {
		return err
	}
	first, err := readAt(u.Disk.Boot, 0, bootfs.Sector)
	if err != nil {
		return err
	}
	record, err := u.record(first)
	if err != nil {
		return err
	}
	return writeAt(u.Disk.Device, 0, record)
}
