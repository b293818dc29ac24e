package partition

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipe that nobody writes to is a device that does not answer: opening it waits.
func TestSlowDevice(t *testing.T) {
	dev := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dev, "sda"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := makeImage(t, 1440<<10, "mkfs.vfat", "-F", "12", "-n", "RAMJET")
	if err := os.Symlink(image, filepath.Join(dev, "sdb")); err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	late := make(chan struct{}, 1)
	p := &prober{
		dev: dev, patience: 50 * time.Millisecond, late: func() { notify(late) },
		log: slog.New(slog.NewTextHandler(log, nil)),
	}
	devices := []Device{{Name: "sda"}, {Name: "sdb"}, {Name: "missing"}}
	p.patience = 10 * time.Second // sdb has to answer, however busy the machine is
	if parts := p.round(devices[1:], nil, true); len(parts) != 1 || parts[0].Name != "sdb" {
		t.Fatalf("got %v, want sdb alone", parts)
	}
	p.patience = 50 * time.Millisecond
	for range 3 {
		if parts := p.round(devices, nil, false); len(parts) != 1 || parts[0].Name != "sdb" {
			t.Fatalf("got %v, want sdb alone", parts)
		}
	}
	select {
	case <-late:
		t.Fatal("called late while the device did not answer")
	default:
	}

	w, err := os.OpenFile(filepath.Join(dev, "sda"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	<-late
	p.round(devices, nil, false)
	if n := strings.Count(log.String(), "slow to answer"); n != 1 {
		t.Errorf("said %d times that a device is slow:\n%s", n, log)
	}
}

// What was read well is not read again without a change; what could not be read is, and reported once.
func TestProberRemembers(t *testing.T) {
	dev := t.TempDir()
	image := readImage(t, makeImage(t, 1440<<10, "mkfs.vfat", "-F", "12", "-n", "RAMJET"), 64<<10)
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dev, "sda"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := new(bytes.Buffer)
	p := &prober{dev: dev, patience: time.Minute, log: slog.New(slog.NewTextHandler(log, nil))}
	for i, step := range []struct {
		before func()
		seq    uint64
		held   map[string]bool
		fresh  bool
		want   int
	}{
		{before: func() {}, want: 0}, // the device file is still to come
		{before: func() {}, want: 0},
		{before: func() { write(image) }, want: 1},
		{before: func() { write(make([]byte, 2048)) }, want: 1},
		{before: func() {}, held: map[string]bool{"sda": true}, fresh: true, want: 1}, // not to be opened
		{before: func() {}, fresh: true, want: 0},
		{before: func() { write(image) }, want: 0},
		{before: func() {}, seq: 2, want: 1}, // another disk
	} {
		step.before()
		if parts := p.round([]Device{{Name: "sda", Disk: "sda", Seq: step.seq}}, step.held, step.fresh); len(parts) != step.want {
			t.Errorf("step %d: got %v, want %d", i, parts, step.want)
		}
	}
	if n := strings.Count(log.String(), "cannot read a block device"); n != 1 {
		t.Errorf("reported %d times:\n%s", n, log)
	}
}
