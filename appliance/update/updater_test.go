package update

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/disk"
)

// fake is a Health that says what it is told to.
type fake struct {
	err    error
	before string // as the last check was told
}

func (f *fake) Look(context.Context) json.RawMessage { return json.RawMessage(`"looked"`) }
func (f *fake) Known() json.RawMessage               { return json.RawMessage(`"known"`) }

func (f *fake) Check(_ context.Context, before json.RawMessage) error {
	f.before = string(before)
	return f.err
}

// hopeless is an error that no look takes back.
type hopeless struct{ error }

func (hopeless) Hopeless() bool { return true }

// machine is a box whose disk is files, and which writes down what it is asked to do.
type machine struct {
	t      *testing.T
	dir    string
	disk   disk.Disk
	health fake
	did    chan string
	line   string // the kernel's command line
	loaded string // of the kernel that was loaded last
	kernel string
	once   bool // it cannot start one kernel from another
}

const bootSize = 100 << 20

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), did: make(chan string, 10)}
	path := func(name string) string { return filepath.Join(m.dir, name) }
	m.disk = disk.Disk{
		Device: path("disk"), Boot: path("boot"), BootStart: 8192, Active: disk.RootA,
		Roots: map[int]string{disk.RootA: path("a"), disk.RootB: path("b")},
		Names: map[int]string{disk.RootA: "PARTUUID=x/PARTNROFF=1", disk.RootB: "PARTUUID=x/PARTNROFF=2"},
	}
	for name, size := range map[string]int64{"disk": 1 << 20, "a": 4 << 20, "b": 4 << 20} {
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path(name), size); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(m.disk.Boot, bootImage(t, "kernel 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(m.disk.Boot, bootSize); err != nil {
		t.Fatal(err)
	}
	return m
}

// bootImage is a FAT file system like those that gok makes.
func bootImage(t *testing.T, kernel string) []byte {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "fat")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", cmd.Args, err, out)
		}
	}
	run("mkfs.vfat", "-C", "-F", "16", "-f", "1", "-R", "4", "-s", "4", image, "20480")
	line := "quiet root=PARTUUID=x/PARTNROFF=1 panic=10 ramjet.room=" + strings.Repeat("_", 110)
	run("mmd", "-i", image, "::loader", "::loader/entries")
	for name, text := range map[string]string{
		"vmlinuz": kernel, "cmdline.txt": line, "loader/entries/gokrazy.conf": "title gokrazy\nlinux /vmlinuz\noptions " + line,
	} {
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run("mcopy", "-i", image, file, "::"+name)
	}
	text, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rootImage looks like a squashfs.
func rootImage(text string) []byte {
	b := append(make([]byte, 96), text...)
	copy(b, "hsqs")
	binary.LittleEndian.PutUint64(b[40:], uint64(len(b)))
	return b
}

// start is the program's start on the box.
func (m *machine) start() *Updater {
	m.t.Helper()
	u := &Updater{
		Dir: filepath.Join(m.dir, "perm"), Memory: filepath.Join(m.dir, "run"), Disk: m.disk, Name: "v1", Line: m.line,
		Health: &m.health, Log: slog.New(slog.DiscardHandler), Steady: 10 * time.Millisecond, Deadline: 300 * time.Millisecond,
		load: func(kernel, line string) error {
			text, err := os.ReadFile(kernel)
			m.kernel, m.loaded = string(text), line
			return err
		},
		once:   m.once,
		launch: func() { m.did <- "launch" },
		reboot: func() { m.did <- "reboot" },
	}
	if err := u.Open(); err != nil {
		m.t.Fatal(err)
	}
	return u
}

// tried is the start of the version on trial.
func (m *machine) tried(root int) *Updater {
	m.t.Helper()
	m.line, m.disk.Active = m.loaded, root
	if err := os.RemoveAll(filepath.Join(m.dir, "run")); err != nil {
		m.t.Fatal(err)
	}
	u := m.start()
	u.Name = "v2"
	return u
}

// back is the start of the machine by its firmware: what it finds on its disk.
func (m *machine) back() (u *Updater, kernel string) {
	m.t.Helper()
	kernel, line := m.boots()
	m.line, m.disk.Active = line, disk.RootA
	if strings.Contains(line, "PARTNROFF=2") {
		m.disk.Active = disk.RootB
	}
	return m.start(), kernel
}

// boots reads kernel and command line as UEFI firmware does, and checks that a BIOS would come to the same ones.
func (m *machine) boots() (kernel, line string) {
	m.t.Helper()
	text := map[string]string{}
	for _, name := range []string{"vmlinuz", "cmdline.txt", "loader/entries/gokrazy.conf"} {
		out, err := exec.Command("mtype", "-i", m.disk.Boot, "::"+name).Output()
		if err != nil {
			m.t.Fatalf("mtype %s: %v", name, err)
		}
		text[name] = string(out)
	}
	if !strings.Contains(text["loader/entries/gokrazy.conf"], text["cmdline.txt"]) {
		m.t.Errorf("two command lines: %q", text)
	}
	record, err := readAt(m.disk.Device, 0, recordSize)
	if err != nil {
		m.t.Fatal(err)
	}
	if at := binary.LittleEndian.Uint32(record[kernelAddress:]); at != 0 {
		got, err := readAt(m.disk.Boot, (int64(at)-m.disk.BootStart)*bootfs.Sector, len(text["vmlinuz"]))
		if err != nil || string(got) != text["vmlinuz"] {
			m.t.Errorf("a BIOS starts %q, %v, UEFI %q", got, err, text["vmlinuz"])
		}
	}
	return text["vmlinuz"], text["cmdline.txt"]
}

// send is what gok does, up to the restart.
func send(t *testing.T, url string, root, boot []byte) {
	t.Helper()
	for part, content := range map[string][]byte{"root": root, "boot": boot, "mbr": make([]byte, recordSize)} {
		status, text := put(t, url+"/update/"+part, bytes.NewReader(content), -1)
		if want := fmt.Sprintf("%x", crc32.ChecksumIEEE(content)); status != 200 && status != 0 || text != want && text != fmt.Sprintf("%08x", crc32.ChecksumIEEE(content)) {
			t.Fatalf("%s: %d %s, want %s", part, status, text, want)
		}
	}
	if status, text := ask(t, "POST", url+"/update/switch", "secret", ""); status != 200 {
		t.Fatalf("switch: %d %s", status, text)
	}
}

// put sends a part; a length of -1 is one that is not said.
func put(t *testing.T, url string, body io.Reader, length int64) (int, string) {
	t.Helper()
	request, err := http.NewRequest("PUT", url, io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = length
	request.SetBasicAuth("gokrazy", "secret")
	request.Header.Set("X-Gokrazy-Update-Hash", "crc32")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// over waits for the end of the gate.
func over(t *testing.T, u *Updater) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	u.gate(ctx)
	if ctx.Err() != nil {
		t.Fatal("the gate does not end")
	}
}

func last(t *testing.T, u *Updater) Outcome {
	t.Helper()
	h := u.Status().History
	if len(h) == 0 {
		t.Fatal("no history")
	}
	return h[len(h)-1]
}

// An update is tried, confirmed, started by the firmware from then on, and followed by the next one, in the other slot.
func TestGoodUpdates(t *testing.T) {
	m := newMachine(t)
	roots := []int{disk.RootB, disk.RootA, disk.RootB}
	for i, root := range roots {
		u, before := m.back()
		url := run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
		kernel := fmt.Sprintf("kernel %d", i+2)
		send(t, url, rootImage(fmt.Sprint("root ", i+2)), bootImage(t, kernel))
		if got, _ := m.boots(); got != before {
			t.Errorf("not tried yet, the box already starts %s", got)
		}
		if status, text := ask(t, "POST", url+"/reboot", "secret", ""); status != 200 {
			t.Fatalf("reboot: %d %s", status, text)
		}
		if did := <-m.did; did != "launch" || m.kernel != kernel || !strings.Contains(m.loaded, "root="+m.disk.Names[root]+" panic=10 ") || !strings.Contains(m.loaded, " ramjet.trial=") {
			t.Fatalf("%s of %s with %q", did, m.kernel, m.loaded)
		}
		if got, _ := m.boots(); got != before {
			t.Errorf("on trial, the box already starts %s", got)
		}
		tried := m.tried(root)
		trial := run(t, &Server{Gokrazy: gokrazy(t), Updates: tried})
		if status, _ := ask(t, "GET", trial+"/", "secret", ""); status != 503 {
			t.Errorf("on trial, gok is told %d", status)
		}
		if over(t, tried); m.health.before != `"looked"` {
			t.Errorf("it is compared with %s", m.health.before)
		}
		if status, _ := ask(t, "GET", trial+"/", "secret", ""); status != 200 {
			t.Errorf("confirmed, gok is told %d", status)
		}
		if o := last(t, tried); o.Outcome != "confirmed" || o.To != "v2" {
			t.Errorf("history: %+v", o)
		}
		if _, err := os.Stat(filepath.Join(m.dir, "run", confirmedFile)); err != nil {
			t.Error(err)
		}
		if _, got := m.back(); got != kernel || m.disk.Active != root {
			t.Errorf("confirmed, the box starts %s from %d", got, m.disk.Active)
		}
		if now, err := os.ReadFile(m.disk.Roots[root]); err != nil || !bytes.HasPrefix(now, rootImage(fmt.Sprint("root ", i+2))) {
			t.Errorf("the root is not there: %v", err)
		}
	}
	// And back, which is a trial as well.
	u, _ := m.back()
	if err := u.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if trial, err := u.Start(); !trial || err != nil || m.kernel != "kernel 3" {
		t.Fatalf("%v %v %s", trial, err, m.kernel)
	}
	over(t, m.tried(disk.RootA))
	if _, got := m.back(); got != "kernel 3" || m.disk.Active != disk.RootA {
		t.Errorf("rolled back, the box starts %s from %d", got, m.disk.Active)
	}
}

// A bad version goes, and the box knows why.
func TestBadUpdates(t *testing.T) {
	for _, test := range []struct {
		name  string
		trial func(t *testing.T, m *machine)
		want  string
	}{
		{"never healthy", func(t *testing.T, m *machine) {
			m.health.err = errors.New("it is broken")
			over(t, m.tried(disk.RootB))
			if did := <-m.did; did != "reboot" {
				t.Error(did)
			}
		}, "it is broken"},
		{"surely broken", func(t *testing.T, m *machine) {
			m.health.err = hopeless{errors.New("it has no hope")}
			u := m.tried(disk.RootB)
			u.Deadline = time.Hour
			over(t, u)
		}, "it has no hope"},
		{"the guard ended it", func(t *testing.T, m *machine) {
			if err := os.WriteFile(filepath.Join(m.dir, "perm", guardFile), []byte("silence\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "silence"},
		{"power cut", func(*testing.T, *machine) {}, "crash, hang or power cut"},
		{"power cut between the two writes", func(t *testing.T, m *machine) {
			u := m.tried(disk.RootB)
			u.state.Trial.Commit = true
			if err := errors.Join(u.save(), writeAt(m.disk.Device, 0, u.state.Trial.To.Record)); err != nil {
				t.Fatal(err)
			}
			m.disk.Active = disk.RootA
		}, "crash, hang or power cut"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			u := m.start()
			url := run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
			send(t, url, rootImage("bad"), bootImage(t, "kernel 2"))
			if trial, err := u.Start(); !trial || err != nil {
				t.Fatal(trial, err)
			}
			test.trial(t, m)
			m.line, m.disk.Active, m.health.err = "", disk.RootA, nil
			u = m.start()
			if kernel, line := m.boots(); kernel != "kernel 1" || !strings.Contains(line, "PARTNROFF=1") {
				t.Errorf("the box starts %s, %s", kernel, line)
			}
			if o := last(t, u); o.Outcome != "reverted" || !strings.Contains(o.Reason, test.want) {
				t.Errorf("history: %+v", o)
			}
			if trial, err := u.Start(); trial || err != nil {
				t.Errorf("it would be tried again: %v, %v", trial, err)
			}
		})
	}
}

// Somebody with the password decides, whatever the checks say.
func TestDecided(t *testing.T) {
	for _, test := range []struct {
		call, outcome, reason string
		health                error
	}{
		{"revert", "reverted", "asked for by 127.0.0.1:", nil},
		{"confirm", "confirmed", "", errors.New("it is broken")},
	} {
		m := newMachine(t)
		u := m.start()
		url := run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
		if status, text := ask(t, "POST", url+"/update/"+test.call, "secret", ""); status != 409 {
			t.Errorf("%s without a trial: %d %s", test.call, status, text)
		}
		send(t, url, rootImage("next"), bootImage(t, "kernel 2"))
		if trial, err := u.Start(); !trial || err != nil {
			t.Fatal(trial, err)
		}
		u = m.tried(disk.RootB)
		m.health.err, u.Deadline, u.Steady = test.health, time.Hour, time.Hour
		url = run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { u.gate(ctx); close(ended) }()
		if status, text := ask(t, "POST", url+"/update/"+test.call, "secret", ""); status != 200 {
			t.Errorf("%s: %d %s", test.call, status, text)
		}
		if test.call == "revert" {
			if did := <-m.did; did != "reboot" {
				t.Error(did)
			}
			cancel()
			m.line, m.disk.Active = "", disk.RootA
			u = m.start()
		}
		<-ended // When it is confirmed, the gate sees it by itself.
		cancel()
		if o := last(t, u); o.Outcome != test.outcome || !strings.HasPrefix(o.Reason, test.reason) {
			t.Errorf("%s: %+v", test.call, o)
		}
	}
}

// What cannot be mended goes back to the version before it, by itself, once, and never to one that has not proven itself.
func TestFallBack(t *testing.T) {
	m := newMachine(t)
	u := m.start()
	none := func(u *Updater, when string) {
		t.Helper()
		if err := u.FallBack(t.Context(), "it hangs"); err == nil || len(m.did) != 0 {
			t.Errorf("%s: it falls back, %v", when, err)
		}
	}
	none(u, "there was no update yet")
	if err := u.GiveUp("it hangs"); err == nil {
		t.Error("no version is on trial, and it is given up")
	}
	update := func(root int, kernel string) *Updater {
		t.Helper()
		u, _ := m.back()
		send(t, run(t, &Server{Gokrazy: gokrazy(t), Updates: u}), rootImage(kernel), bootImage(t, kernel))
		none(u, "an update waits for its trial")
		if trial, err := u.Start(); !trial || err != nil {
			t.Fatal(trial, err)
		}
		return m.tried(root)
	}
	u = update(disk.RootB, "kernel 2")
	none(u, "this version is on trial")
	if err := u.GiveUp("it hangs"); err != nil || <-m.did != "reboot" {
		t.Fatal(err)
	}
	m.line, m.disk.Active = "", disk.RootA
	u = m.start()
	if o := last(t, u); o.Outcome != "reverted" || o.Reason != "it hangs" {
		t.Errorf("%+v", o)
	}
	none(u, "the other version was given up")

	over(t, update(disk.RootB, "kernel 3"))
	u, _ = m.back()
	// The first time the older version does no better; so it is not tried again.
	m.health.err = errors.New("it hangs as well")
	if err := u.FallBack(t.Context(), "it hangs"); err != nil || <-m.did != "launch" || m.kernel != "kernel 1" {
		t.Fatal(err, m.kernel)
	}
	over(t, m.tried(disk.RootA))
	if m.health.before != `"known"` || <-m.did != "reboot" {
		t.Errorf("it was compared with %s", m.health.before)
	}
	m.line = ""
	u, _ = m.back()
	if o := last(t, u); o.Outcome != "reverted" || m.disk.Active != disk.RootB {
		t.Errorf("%+v, from %d", o, m.disk.Active)
	}
	none(u, "the older version was tried")

	m.health.err = nil
	over(t, update(disk.RootA, "kernel 4"))
	u, _ = m.back()
	if err := u.FallBack(t.Context(), "it hangs"); err != nil || <-m.did != "launch" || m.kernel != "kernel 3" {
		t.Fatal(err, m.kernel)
	}
	over(t, m.tried(disk.RootB))
	u, kernel := m.back()
	if o := last(t, u); o.Outcome != "confirmed" || o.Reason != "it hangs" || kernel != "kernel 3" {
		t.Errorf("%+v, %s", o, kernel)
	}
	none(u, "it was fallen back from")
	if err := u.Rollback(t.Context()); err != nil {
		t.Errorf("somebody may want it nevertheless: %v", err)
	}
}

// What is too large, cut short or wrong is refused, and leaves the disk and /perm as they were.
func TestRefused(t *testing.T) {
	m := newMachine(t)
	u := m.start()
	url := run(t, &Server{Gokrazy: gokrazy(t), Updates: u})
	root, boot := rootImage("root"), bootImage(t, "kernel")
	long := rootImage("root")
	binary.LittleEndian.PutUint64(long[40:], 1<<20)
	noKernel := bytes.ReplaceAll(boot, []byte("VMLINUZ"), []byte("VMLINUX"))
	noRoot := bytes.ReplaceAll(boot, []byte("root="), []byte("boot="))
	for _, test := range []struct {
		name, part string
		body       []byte
		length     int64
		status     int
	}{
		{"larger than the partition", "root", make([]byte, 5<<20), 5 << 20, 413},
		{"larger than the partition, and does not say so", "root", make([]byte, 5<<20), -1, 413},
		{"no squashfs", "root", boot[:4096], -1, 422},
		{"a squashfs that is cut short", "root", long, -1, 422},
		{"nothing", "root", nil, -1, 422},
		{"no FAT", "boot", root, -1, 422},
		{"a FAT that is cut short", "boot", boot[:8192], -1, 422},
		{"a FAT without a kernel", "boot", noKernel, -1, 422},
		{"a FAT without a root", "boot", noRoot, -1, 422},
		{"half of a boot record", "mbr", make([]byte, 200), -1, 422},
		{"a whole sector", "mbr", make([]byte, 512), -1, 413},
		{"broken off", "root", root[:50], int64(len(root)), 0},
	} {
		if status, text := put(t, url+"/update/"+test.part, bytes.NewReader(test.body), test.length); status != test.status {
			t.Errorf("%s: %d %s", test.name, status, text)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, err := os.ReadDir(u.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v", left)
		}
	}
	if status, text := ask(t, "POST", url+"/update/switch", "secret", ""); status != 409 {
		t.Errorf("a switch to nothing: %d %s", status, text)
	}
	if status, text := ask(t, "POST", url+"/update/rollback", "secret", ""); status != 409 {
		t.Errorf("back to nothing: %d %s", status, text)
	}
	if trial, err := u.Start(); trial || err != nil {
		t.Errorf("a trial of nothing: %v, %v", trial, err)
	}
	if got, err := os.ReadFile(m.disk.Roots[disk.RootB]); err != nil || len(bytes.Trim(got, "\x00")) > 0 {
		t.Errorf("something was written, %v", err)
	}
	_, text := ask(t, "GET", url+"/update/status", "secret", "")
	var s Status
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.Version != "v1" || s.OnTrial || len(s.History) != 0 {
		t.Errorf("%v: %s", err, text)
	}
}
