package update

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/update/guard"
)

// kexecMissing says why this machine cannot start a kernel by itself, if so.
func kexecMissing() error {
	if model, _ := os.ReadFile("/proc/device-tree/model"); bytes.HasPrefix(model, []byte("Raspberry Pi")) {
		return errors.New("a Raspberry Pi has not been seen to start one kernel from another")
	}
	methods, _ := filepath.Glob("/proc/device-tree/cpus/*/enable-method")
	for _, file := range methods {
		// Linux, Documentation/arch/arm64/booting.rst: such a processor cannot be switched off, to be handed to another kernel.
		if method, _ := os.ReadFile(file); bytes.HasPrefix(method, []byte("spin-table")) {
			return errors.New("the kernel cannot start another one: the firmware (spin-table) does not take processors back")
		}
	}
	if err := unix.KexecFileLoad(-1, -1, "", 0); errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("the kernel cannot start another one: kexec_file_load: %w", err)
	}
	return nil
}

// kexecLoad loads a kernel, with a guard as its first program: this one, which has proven itself.
func (u *Updater) kexecLoad(kernel, line string) error {
	archive := filepath.Join(u.Memory, "guard.cpio")
	defer os.Remove(archive)
	if err := writeGuard(archive); err != nil {
		return err
	}
	k, err := os.Open(kernel)
	if err != nil {
		return err
	}
	defer k.Close()
	g, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := unix.KexecFileLoad(int(k.Fd()), int(g.Fd()), line, 0); err != nil {
		return fmt.Errorf("kexec_file_load: %w", err)
	}
	return nil
}

func writeGuard(archive string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := guard.Archive(f, self); err != nil {
		return err
	}
	return f.Close()
}

// kexecLaunch ends the other programs, writes all to the disk, and starts the kernel that was loaded.
func (u *Updater) kexecLaunch() {
	tell("starting the version on trial")
	stopOthers(3 * time.Second)
	unix.Sync()
	// As gokrazy does; an ext4 that is still in use is whole without it.
	if err := unix.Unmount("/perm", unix.MNT_FORCE); err != nil {
		_ = unix.Mount("", "/perm", "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
	u.Log.Error("the trial cannot be started, starting anew", "err", err)
	reboot()
}

// stopOthers asks the programs beside this one to end, and waits a little. gokrazy starts them again after a second, and
// so they are asked until they are gone or the time is over.
func stopOthers(patience time.Duration) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		left := 0
		for _, link := range programs() {
			if pid := 0; scan(link, &pid) && pid != os.Getpid() {
				left++
				_ = unix.Kill(pid, syscall.SIGTERM)
			}
		}
		if left == 0 {
			return
		}
	}
}

// programs lists the links to the programs of the user's processes.
func programs() []string {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	var users []string
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, "/user/") {
			users = append(users, link)
		}
	}
	return users
}

func scan(link string, pid *int) bool {
	n, err := fmt.Sscanf(link, "/proc/%d/exe", pid)
	return n == 1 && err == nil
}

// reboot starts the machine anew, through its firmware.
func reboot() {
	done := make(chan struct{})
	go func() { unix.Sync(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second): // A disk that hangs must not keep the box where it is.
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("b"), 0)
	os.Exit(1)
}

// tell writes a line to the console, where it is seen although nobody answers.
func tell(format string, args ...any) { guard.Say("ramjet: "+format, args...) }
