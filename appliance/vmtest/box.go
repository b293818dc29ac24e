// Package vmtest boots the real image of the box in a virtual machine and
// gives the stories in the folders below a small vocabulary: Boot, Get,
// SameBytes, Pull, Plug, Update, Reboot, PowerCut, API.
//
// Every wait is bounded, every machine has a loopback address of its own, and
// a failed story keeps the machine's serial log.
package vmtest

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/vmtest/qemu"
)

// Config says what kind of box a story wants. The zero value is an amd64 box
// with nothing attached.
type Config struct {
	// Board is amd64 (the default), arm64 or rpi.
	Board string
	// Content is a disk image attached as a second disk; see ContentDisk.
	Content string
	// Stick is a disk image attached as a USB stick; see ContentDisk.
	Stick string
	// Perm are files that are on /perm from the start: text by path, with at
	// most one directory.
	Perm map[string]string
	// Clock is QEMU's -rtc argument; empty is the right time.
	Clock string
	// Alone cuts the box off from everything but this test's connections to
	// it: no time server, no farm.
	Alone bool
	// Watchdog gives the machine a hardware watchdog. amd64 and arm64 only.
	Watchdog bool
	// Variant names an image of its own, whose configuration Edit changes.
	Variant string
	Edit    func(config map[string]any)
	// Helper adds a program that takes an Order. It needs a Variant.
	Helper bool
	// Updates are versions that Update will send, with what is changed in their configuration; a box with a helper has them
	// on /perm. It can send others as well.
	Updates map[string]func(config map[string]any)
}

// Box is one virtual machine with the image of the box on its disk.
type Box struct {
	// Machine is the running machine; it is replaced after a power cut.
	Machine *qemu.Machine
	// Disk is the box's disk image, a copy of its own.
	Disk string
	// URL is where the box serves: scheme, address and port, no path.
	URL string
	// Control is gokrazy's web interface, without the password.
	Control string
	// Client fetches through Get. It asks for no compression and follows no
	// redirects.
	Client *http.Client

	t        testing.TB
	config   Config
	password string
	dir      string
	orders   chan string    // for the helper
	firmware sync.WaitGroup // of a rpi
	boots    int            // how often init has announced itself, at the least
}

// bootTimeout bounds a boot on a machine with other work to do. The story
// serve holds the box to a much tighter time.
const bootTimeout = 90 * time.Second

// Version is what the image of a fresh box says its version is.
const Version = "story-1"

// initUp is the line by which gokrazy's init shows that it manages the box; it
// names the root partition that is not in use.
var initUp = regexp.MustCompile(`update handler will be called with inactiveRootPartition = (\d)`)

// Root returns the top of the repository.
func Root(t testing.TB) string {
	t.Helper()
	root, err := instance.FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// BuildDir returns the directory for what stories may keep from run to run.
func BuildDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(Root(t), "build", "vmtest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TempDir is like t.TempDir, with a short name, as the path of a Unix socket
// must have, and open to other users, as web servers need it.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ramjet-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Boot starts a box from a fresh copy of the image and returns at power-on;
// see WaitUp for when it serves. The machine ends with the test.
func Boot(t testing.TB, c Config) *Box {
	t.Helper()
	if c.Board == "" {
		c.Board = "amd64"
	}
	if c.Helper {
		c.Edit = withHelper(t, c.Edit)
	}
	spec := variant(t, c.Board, c.Variant, c.Edit)
	box := &Box{t: t, config: c, password: spec.Password, dir: TempDir(t)}
	box.Disk = filepath.Join(box.dir, "disk.img")
	copySparse(t, spec.Out, box.Disk)
	perm := map[string]string{}
	maps.Copy(perm, c.Perm)
	if c.Helper {
		perm["orders.txt"] = box.listenOrders()
	}
	source := filepath.Join(box.dir, "source")
	for name, text := range perm {
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		writePerm(t, box.Disk, name, source)
	}
	if c.Helper {
		box.putUpdates()
	}

	address, lease, err := qemu.LeaseAddress(BuildDir(t), 8000, qemu.UpdatePort, qemu.ControlPort, qemu.APIPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	box.URL = "http://" + address + ":8000"
	box.Control = "http://" + address + ":8080"
	box.Client = &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DisableCompression: true, MaxIdleConnsPerHost: 16, ResponseHeaderTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	box.powerOn(address)
	t.Cleanup(box.end)
	return box
}

// powerOn starts QEMU on the box's disk.
func (b *Box) powerOn(address string) {
	b.t.Helper()
	b.Machine = &qemu.Machine{
		Board: b.config.Board, Disk: b.Disk, Content: b.config.Content, Stick: b.config.Stick,
		Clock: b.config.Clock, Alone: b.config.Alone, Watchdog: b.config.Watchdog, Address: address, Dir: b.dir,
	}
	b.boots = 0
	if b.config.Board == "rpi" {
		if err := raspberryPi(b.t.Context(), b.Machine); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.Machine.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if b.config.Board == "rpi" {
		m := b.Machine
		b.firmware.Go(func() {
			if err := firmware(b.t.Context(), m); err != nil && b.t.Context().Err() == nil {
				b.t.Error(err)
			}
		})
	}
}

// end switches the machine off and keeps its serial log if the test failed.
func (b *Box) end() {
	b.Client.CloseIdleConnections()
	b.Machine.PowerOff()
	b.firmware.Wait()
	if b.t.Failed() {
		b.keepLog()
	}
}

// keepLog writes the serial log under build/ and its end into the test's log.
func (b *Box) keepLog() {
	text := b.Machine.Serial.Text(b.Machine.Started)
	name := strings.NewReplacer("/", "-", " ", "-").Replace(b.t.Name()) + "-serial.log"
	path := filepath.Join(BuildDir(b.t), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Errorf("keeping the serial log: %v", err)
	}
	lines := strings.SplitAfter(text, "\n")
	if len(lines) > 25 {
		lines = lines[len(lines)-25:]
	}
	b.t.Logf("the serial console is in %s; it ends with:\n%s", path, strings.Join(lines, ""))
}

// WaitUp waits until the box answers GET path with status 200, and returns
// when that was. It fails the test at once if the machine ends.
//
// QEMU accepts connections from power-on and lets them hang until the box has
// an address. So a new attempt is made every tenth of a second, whatever has
// become of the ones before.
func (b *Box) WaitUp(path string) time.Time {
	b.t.Helper()
	return b.waitAnswer(b.URL+path, http.StatusOK)
}

// waitAnswer is WaitUp for any address and status of the answer.
func (b *Box) waitAnswer(url string, status int) time.Time {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), bootTimeout)
	defer cancel()
	type outcome struct {
		at  time.Time
		err error
	}
	outcomes := make(chan outcome)
	last := errors.New("nothing")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			go func() {
				err := b.probe(ctx, url, status)
				select {
				case outcomes <- outcome{time.Now(), err}:
				case <-ctx.Done():
				}
			}()
		case o := <-outcomes:
			if o.err == nil {
				return o.at
			}
			last = o.err
		case <-b.Machine.Done():
			b.t.Fatalf("the machine ended: %v\n%s", b.Machine.Err(), b.Machine.Serial.Text(b.Machine.Started))
		case <-ctx.Done():
			b.t.Fatalf("%s does not answer %d within %v, at last: %v\n%s",
				url, status, bootTimeout, last, b.ServiceLog("accelerator"))
		}
	}
}

// probe fetches url once over a new connection and wants this status.
func (b *Box) probe(ctx context.Context, url string, status int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := b.Client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != status {
		return errors.New(response.Status)
	}
	return nil
}

// Password returns the box's password.
func (b *Box) Password() string { return b.password }

// Address returns the loopback address that leads to the box.
func (b *Box) Address() string { return b.Machine.Address }

// Context ends with the test.
func (b *Box) Context() context.Context { return b.t.Context() }
