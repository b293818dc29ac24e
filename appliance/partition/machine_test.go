package partition

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// machine stands in for a kernel: devices are image files, sysfs is a directory, and what is mounted is a list that is
// written out as a mountinfo file. Only what needs a privilege is imitated; superblocks, links and directories are real.
type machine struct {
	t     *testing.T
	dir   string
	seq   int
	log   bytes.Buffer
	watch *Watcher
	flips chan struct{}

	mu     sync.Mutex
	mounts []string         // lines of mountinfo
	refuse map[string]error // what mount says to a device
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	// The kernel lists mounts by their real path.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: dir, refuse: make(map[string]error)}
	for _, d := range []string{"block", "devices", "dev"} {
		if err := os.Mkdir(filepath.Join(m.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.writeMounts()
	m.start()
	return m
}

// start starts the program, or starts it again: the machine stays, what the program knew does not.
func (m *machine) start() {
	m.t.Helper()
	m.flips = make(chan struct{}, 1)
	m.watch = &Watcher{
		Label: "RAMJET", Dir: filepath.Join(m.dir, "run"), Fallback: filepath.Join(m.dir, "perm", "www"), Changed: m.flips,
		Log: slog.New(slog.NewTextHandler(&m.log, nil)),
		host: host{
			block: filepath.Join(m.dir, "block"), dev: filepath.Join(m.dir, "dev"), mountinfo: filepath.Join(m.dir, "mountinfo"),
			mount: m.mount, unmount: m.unmount,
		},
	}
	if err := m.watch.begin(make(chan struct{}, 1)); err != nil {
		m.t.Fatal(err)
	}
}

// plug adds a disk with the superblock of an image.
func (m *machine) plug(name, image string) {
	m.t.Helper()
	m.seq++
	folder := filepath.Join(m.dir, "devices", name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		m.t.Fatal(err)
	}
	for file, text := range map[string]string{"size": "2048", "dev": "8:" + fmt.Sprint(int(name[2])), "diskseq": fmt.Sprint(m.seq)} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text+"\n"), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Symlink(image, filepath.Join(m.dir, "dev", name)); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(folder, filepath.Join(m.dir, "block", name)); err != nil {
		m.t.Fatal(err)
	}
}

// pull takes a disk away. What is mounted from it stays mounted, as the kernel does it.
func (m *machine) pull(name string) {
	m.t.Helper()
	for _, dir := range []string{"block", "dev", "devices"} {
		if err := os.RemoveAll(filepath.Join(m.dir, dir, name)); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *machine) mount(source, dir string, kind Type, flags uintptr, data string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuse[filepath.Base(source)]; err != nil {
		return fmt.Errorf("mount %s: %w", source, err)
	}
	m.notSeen(dir)
	number, err := os.ReadFile(filepath.Join(m.dir, "block", filepath.Base(source), "dev"))
	if err != nil {
		return err
	}
	m.mounts = append(m.mounts, fmt.Sprintf("1 2 %s / %s rw - %s %s rw,%s\n", bytes.TrimSpace(number), dir, kind, source, data))
	m.writeMounts()
	return nil
}

func (m *machine) unmount(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notSeen(dir)
	for i, line := range m.mounts {
		if strings.Contains(line, " "+dir+" ") {
			m.mounts = append(m.mounts[:i:i], m.mounts[i+1:]...)
			m.writeMounts()
			return nil
		}
	}
	return errors.New("nothing is mounted on " + dir)
}

// notSeen fails the test if the site link names a directory that is about to be mounted, or was unmounted: the accelerator
// would find a site without a page.
func (m *machine) notSeen(dir string) {
	if m.link() == dir {
		m.t.Errorf("the link names %s while it is mounted or unmounted", dir)
	}
}

func (m *machine) writeMounts() {
	if err := os.WriteFile(filepath.Join(m.dir, "mountinfo"), []byte(strings.Join(m.mounts, "")), 0o644); err != nil {
		m.t.Error(err)
	}
}

func (m *machine) link() string {
	target, err := os.Readlink(filepath.Join(m.dir, "run", "site"))
	if err != nil {
		return ""
	}
	return target
}

// media is the path of a mount directory.
func (m *machine) media(name string) string { return filepath.Join(m.dir, "run", "media", name) }

// expect checks what the site link says, what is mounted, and whether a flip was told since the last call.
func (m *machine) expect(link string, flipped bool, mounted ...string) {
	m.t.Helper()
	if got := m.link(); got != link {
		m.t.Errorf("site -> %q, want %q", got, link)
	}
	told := false
	select {
	case <-m.flips:
		told = true
	default:
	}
	if told != flipped {
		m.t.Errorf("told of a flip: %v, want %v", told, flipped)
	}
	dirs, err := os.ReadDir(m.media(""))
	if err != nil {
		m.t.Fatal(err)
	}
	if len(dirs) != len(mounted) || len(m.mounts) != len(mounted) {
		m.t.Errorf("directories %v, mounts %q, want %q", dirs, m.mounts, mounted)
	}
	for _, name := range mounted {
		if !strings.Contains(strings.Join(m.mounts, ""), " "+m.media(name)+" ") {
			m.t.Errorf("%s is not mounted", name)
		}
	}
}

// logged checks what was logged since the last call: each of the texts once.
func (m *machine) logged(texts ...string) {
	m.t.Helper()
	log := m.log.String()
	m.log.Reset()
	for _, text := range texts {
		if n := strings.Count(log, text); n != 1 {
			m.t.Errorf("%q was logged %d times, want 1:\n%s", text, n, log)
		}
	}
	if len(texts) == 0 && strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") && !strings.Contains(strings.Join(texts, ""), "ERROR") {
		m.t.Errorf("unexpected:\n%s", log)
	}
}
