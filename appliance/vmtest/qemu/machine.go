// Package qemu starts a virtual machine from a disk image, with its ports on a
// loopback address of the host, and steers it: serial console, hot-plug, power.
package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"ramjet/appliance/vmtest/child"
)

// Machine is a virtual machine. Fill in the first group of fields, then Start;
// the second group is set by Start.
type Machine struct {
	// Board names the hardware: amd64, arm64, or rpi (a Raspberry Pi 3).
	Board string
	// Disk is the raw image that the machine boots from and writes to.
	Disk string
	// Content is a raw image attached as a second virtio disk, or empty.
	Content string
	// Stick is a raw image for a USB stick, or empty. amd64 and arm64 only.
	Stick string
	// Unplugged leaves the stick out until Plug.
	Unplugged bool
	// Address is the loopback address whose ports lead into the machine:
	// HTTPPort to port 80, UpdatePort, ControlPort and APIPort to the same. See LeaseAddress.
	Address string
	// HTTPPort is the port that leads to the machine's port 80. 0: 8000.
	HTTPPort int
	// HTTPHost is the address of HTTPPort, when it is not Address.
	HTTPHost string
	// Memory in MB. 0: 1024.
	Memory int
	// Clock is QEMU's -rtc argument. Empty: base=utc, the host's time.
	Clock string
	// Alone keeps the machine from connecting to anything.
	Alone bool
	// Watchdog is a device that resets the machine unless it is fed (i6300esb). amd64 and arm64 only.
	Watchdog bool
	// Accel is QEMU's accelerator. Empty: tcg, emulation, which works
	// everywhere. kvm is some ten times as fast where /dev/kvm works.
	Accel string
	// Kernel, DeviceTree and CommandLine boot a rpi, which has no firmware.
	Kernel, DeviceTree, CommandLine string
	// Dir is a directory for the machine's control socket.
	Dir string
	// Output gets a copy of the serial console, or nil.
	Output io.Writer

	// Serial is the console since Start.
	Serial *Serial
	// Started is when QEMU was started: power-on.
	Started time.Time
	// QMP is the control connection.
	QMP *QMP

	mu         sync.Mutex // held while the process is exchanged
	process    *child.Process
	complaints *Serial       // QEMU's standard error
	ended      chan struct{} // see Done
	off        bool          // guarded by mu: PowerOff was called
}

// UpdatePort is the port of gokrazy's web interface and update API, on the box
// and on the host alike: gok update uses one number for both.
const UpdatePort = 8080

// ControlPort is the port of the accelerator's admin socket, on the box and on the host.
const ControlPort = 8081

// APIPort is the port of the box's API, on the box and on the host.
const APIPort = 8443

// The names of the disks' devices.
const (
	BootID    = "disk0"
	ContentID = "content0"
	StickID   = "stick0"
)

// Start powers the machine on. The context bounds the start alone.
func (m *Machine) Start(ctx context.Context) error {
	if m.HTTPPort == 0 {
		m.HTTPPort = 8000
	}
	if m.HTTPHost == "" {
		m.HTTPHost = m.Address
	}
	if m.Memory == 0 {
		m.Memory = 1024
	}
	if m.Clock == "" {
		m.Clock = "base=utc"
	}
	if m.Accel == "" {
		m.Accel = "tcg"
	}
	m.Serial, m.Started, m.ended = &Serial{}, time.Now(), make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.run(ctx)
}

// Cycle switches the machine off and on again, as a restart by its firmware does: with the kernel and the command line that
// are set by now, and the console going on. The context bounds the start alone.
func (m *Machine) Cycle(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		return nil
	}
	m.QMP.Close()
	old := m.process
	m.process = nil
	old.Stop(syscall.SIGKILL)
	return m.run(ctx)
}

// run starts QEMU. Hold mu.
func (m *Machine) run(ctx context.Context) error {
	program, args, err := m.commandLine()
	if err != nil {
		return err
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	socket := filepath.Join(m.Dir, "qmp.sock")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	args = append(args, "-qmp", "unix:"+socket+",server=on,wait=off")
	out := io.Writer(m.Serial)
	if m.Output != nil {
		out = io.MultiWriter(m.Serial, m.Output)
	}
	cmd := exec.Command(path, args...)
	m.complaints = &Serial{}
	cmd.Stdout, cmd.Stderr = out, m.complaints
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("starting %s: %w", program, err)
	}
	m.process = process
	go func() {
		<-process.Done()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.process == process { // Else it has been exchanged.
			close(m.ended)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	m.QMP, err = DialQMP(ctx, socket)
	if err != nil {
		process.Stop(syscall.SIGKILL)
		return fmt.Errorf("%s: %w\n%s", program, err, m.complaints.Text(m.Started))
	}
	return nil
}

// Done is closed when the machine has ended, for whatever reason.
func (m *Machine) Done() <-chan struct{} { return m.ended }

// Err waits for the machine's end and returns how QEMU ended, with its last
// words.
func (m *Machine) Err() error {
	<-m.ended
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Errorf("%w\n%s", m.process.Err(), m.complaints.Text(m.Started))
}

// PowerOff cuts the power: QEMU is killed, and the guest loses whatever it had
// not written to its disks. What it had written is in the image.
func (m *Machine) PowerOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
	if m.QMP != nil {
		m.QMP.Close()
		m.QMP = nil
	}
	if m.process != nil {
		m.process.Stop(syscall.SIGKILL)
	}
}

// commandLine returns QEMU's program name and its arguments.
func (m *Machine) commandLine() (string, []string, error) {
	forward := fmt.Sprintf("user,id=net0,hostfwd=tcp:%s:%d-:80,hostfwd=tcp:%s:%d-:%d,hostfwd=tcp:%s:%d-:%d,hostfwd=tcp:%s:%d-:%d",
		m.HTTPHost, m.HTTPPort, m.Address, UpdatePort, UpdatePort, m.Address, ControlPort, ControlPort, m.Address, APIPort, APIPort)
	if m.Alone {
		forward += ",restrict=on"
	}
	accel := m.Accel
	switch {
	case accel == "tcg" && m.Board == "rpi":
		// With a thread for each of its processors it takes twice as long, and hangs now and then before its first word.
		accel = "tcg,thread=single"
	case accel == "tcg":
		accel = "tcg,thread=multi"
	}
	args := []string{
		"-no-user-config", "-nodefaults", "-display", "none", "-monitor", "none",
		"-netdev", forward, "-accel", accel,
	}
	if m.Board == "rpi" {
		return "qemu-system-aarch64", append(args, m.raspberryPi()...), nil
	}
	args = append(args, "-serial", "stdio", "-rtc", m.Clock)
	// What a small machine's processor does not have, and the emulator pays for:
	// five levels of page tables, virtualization.
	cpu := "max,-la57,-svm"
	if m.Accel != "tcg" {
		cpu = "host"
	}
	if m.Watchdog {
		args = append(args, "-device", "i6300esb", "-action", "watchdog=reset")
	}
	switch m.Board {
	case "amd64":
		args = append(args, "-M", "q35", "-cpu", cpu, "-m", fmt.Sprint(m.Memory), "-smp", "2",
			"-device", "virtio-net-pci,netdev=net0,romfile=")
		return "qemu-system-x86_64", append(args, m.drives()...), nil
	case "arm64":
		if m.Accel == "tcg" {
			cpu = "cortex-a72" // max costs half as much again, in pointer authentication
		}
		args = append(args, "-M", "virt,highmem=off", "-cpu", cpu, "-m", fmt.Sprint(m.Memory), "-smp", "2",
			"-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
			"-device", "virtio-net-pci,netdev=net0,romfile=")
		return "qemu-system-aarch64", append(args, m.drives()...), nil
	}
	return "", nil, fmt.Errorf("no machine for board %q", m.Board)
}

// raspberryPi returns the arguments for a Raspberry Pi 3. QEMU has none of its
// boot firmware, so kernel, device tree and command line come from outside. The
// console is the second UART. The network is on USB; with a MAC address of this
// kind, globally unique, Linux calls it eth0 (drivers/net/usb/usbnet.c).
func (m *Machine) raspberryPi() []string {
	return []string{
		"-M", "raspi3b", "-kernel", m.Kernel, "-dtb", m.DeviceTree, "-append", m.CommandLine,
		"-drive", "file=" + m.Disk + ",format=raw,if=sd",
		"-serial", "null", "-serial", "stdio",
		"-device", "usb-net,netdev=net0,mac=00:16:3e:00:00:01",
	}
}

// drives returns the arguments for the disks of a PCI machine. Their backends
// are named, so that they outlive the device: a stick can be plugged again.
func (m *Machine) drives() []string {
	disk := func(node, file string) []string {
		return []string{"-blockdev", "driver=raw,node-name=" + node + ",file.driver=file,file.filename=" + file}
	}
	args := append(disk("disk", m.Disk), "-device", "virtio-blk-pci,drive=disk,id="+BootID+",bootindex=1")
	if m.Content != "" {
		args = append(args, disk("content", m.Content)...)
		args = append(args, "-device", "virtio-blk-pci,drive=content,id="+ContentID)
	}
	if m.Stick != "" {
		args = append(args, "-device", "qemu-xhci,id=usb")
		args = append(args, disk("stick", m.Stick)...)
		if !m.Unplugged {
			args = append(args, "-device", "usb-storage,bus=usb.0,drive=stick,id="+StickID)
		}
	}
	return args
}

// Pull pulls the USB stick out without a word to the guest, and returns when
// it is out.
func (m *Machine) Pull(ctx context.Context) error {
	if err := m.QMP.Execute(ctx, "device_del", map[string]any{"id": StickID}, nil); err != nil {
		return err
	}
	return m.QMP.WaitEvent(ctx, "DEVICE_DELETED", StickID)
}

// Plug plugs the USB stick in.
func (m *Machine) Plug(ctx context.Context) error {
	return m.QMP.Execute(ctx, "device_add", map[string]any{
		"driver": "usb-storage", "bus": "usb.0", "drive": "stick", "id": StickID,
	}, nil)
}

// LeaseAddress picks a loopback address that no other machine on this host
// uses, and returns a file whose closing gives it back. Leases are locks on
// files in dir, so that a program that dies gives them back too.
func LeaseAddress(dir string, ports ...int) (string, io.Closer, error) {
	for n := 10; n < 250; n++ {
		address := fmt.Sprintf("127.0.0.%d", n)
		f, err := os.OpenFile(filepath.Join(dir, address+".lease"), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return "", nil, err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && free(address, ports) {
			return address, f, nil
		}
		f.Close()
	}
	return "", nil, fmt.Errorf("no loopback address from 127.0.0.10 to 127.0.0.249 has the ports %v free: end what listens there on all addresses", ports)
}

// free reports whether all ports of the address can be listened on.
func free(address string, ports []int) bool {
	for _, p := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, p))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
