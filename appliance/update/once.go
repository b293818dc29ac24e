package update

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/disk"
	"ramjet/appliance/update/guard"
)

// Where no kernel can start another one, the firmware is told by the command line to start the new root once, with the
// kernel in use: its first program is the guard, from the old root, which takes that out again.

// guardProgram is where the running version has this program.
const guardProgram = "/user/appliance"

// onceMissing says why that cannot be done, if so.
func (u *Updater) onceMissing() error {
	if _, err := os.Stat(guardProgram); err != nil {
		return err
	}
	f, limit, err := bootfs.Open(u.Disk.Boot, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	longest := &Trial{ID: newID(), To: Version{Root: disk.RootB}, InPlace: true}
	return bootfs.HasRoom(f, limit, u.onceWords(longest))
}

// onceWords are what the command line has for one start.
func (u *Updater) onceWords(t *Trial) string {
	words := fmt.Sprintf("%s%s %s%d %s init=%s", Argument, t.ID, disk.Once, t.To.Root, guard.Argument(u.took), guardProgram)
	if t.InPlace {
		words += " " + guard.Lend
	}
	return words
}

// prepareOnce has the firmware start the trial next.
func (u *Updater) prepareOnce(t *Trial) error {
	f, limit, err := bootfs.Open(u.Disk.Boot, os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	return bootfs.Once(f, limit, u.onceWords(t))
}

// onceLaunch ends the other programs, writes all to the disk, and starts the machine anew.
func (u *Updater) onceLaunch() {
	tell("starting the version on trial")
	stopOthers(3 * time.Second)
	unix.Sync()
	reboot()
}
