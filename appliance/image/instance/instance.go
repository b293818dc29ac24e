// Package instance turns the gokrazy configuration at the top of the
// repository into a disk image for one board. It derives an instance
// directory under build/, runs the stock gok on it, and formats /perm.
package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"ramjet/appliance/access"
	"ramjet/appliance/update/signed"
)

// DefaultSize is the size of an image in bytes: 2 GiB, which leaves about
// 1 GB for /perm and is a power of two, as QEMU's SD cards must be.
const DefaultSize = 2 << 30

// Spec says what to build. Board and Root are needed, the rest has defaults.
type Spec struct {
	// Root is the directory with go.mod and config.json.
	Root string
	// Board is the hardware; see FindBoard.
	Board Board
	// Parent is the directory for instance directories. Empty: Root/build.
	Parent string
	// Name is the instance's name and the stem of its image's file name.
	// Empty: "ramjet-" and the board's name.
	Name string
	// Out is the image file. Empty: Parent/Name.img.
	Out string
	// Size of the image in bytes. 0: DefaultSize.
	Size int64
	// Version is compiled into both programs. Empty: see Version.
	Version string
	// Password guards the update interface. Empty: see Password.
	Password string
	// Host is where "gok update" finds the box. Empty: the box's host name.
	Host string
	// Edit changes the derived configuration, as a story's mistakes need it. Nil:
	// it stays.
	Edit func(config map[string]any)
	// IfChanged leaves an image alone that was built from the same inputs.
	IfChanged bool
	// Log receives the progress of gok. Nil: nothing is shown.
	Log io.Writer
}

// complete fills in the defaults and makes the parent directory.
func (s *Spec) complete(ctx context.Context) error {
	root, err := filepath.Abs(s.Root)
	if err != nil {
		return err
	}
	s.Root = root
	if s.Parent == "" {
		s.Parent = filepath.Join(root, "build")
	}
	if s.Parent, err = filepath.Abs(s.Parent); err != nil {
		return err
	}
	if s.Name == "" {
		s.Name = "ramjet-" + s.Board.Name
	}
	if s.Out == "" {
		s.Out = filepath.Join(s.Parent, s.Name+".img")
	}
	if s.Size == 0 {
		s.Size = DefaultSize
	}
	if s.Version == "" {
		s.Version = Version(ctx, root)
	}
	if s.Log == nil {
		s.Log = io.Discard
	}
	return os.MkdirAll(s.Parent, 0o755)
}

// lock holds other builds in the same directory off until the returned file
// is closed.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s: %w", f.Name(), err)
	}
	return f, nil
}

// prepare writes the instance directory and returns its configuration. Hold
// the lock.
func (s *Spec) prepare() ([]byte, error) {
	if s.Password == "" {
		// One password per checkout, wherever the instance lives.
		dir := filepath.Join(s.Root, "build")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		password, err := Password(dir)
		if err != nil {
			return nil, err
		}
		s.Password = password
	}
	top, err := os.ReadFile(filepath.Join(s.Root, "config.json"))
	if err != nil {
		return nil, err
	}
	hash, err := PasswordHash(s.Parent, s.Password)
	if err != nil {
		return nil, err
	}
	files := map[string]string{access.Default.Image: hash}
	// Who has a key has the box take only what is signed with it.
	if key, err := os.ReadFile(filepath.Join(s.Root, "build", "update.pub")); err == nil {
		if _, err := signed.Keys(key); err != nil {
			return nil, fmt.Errorf("build/update.pub: %w", err)
		}
		files["/etc/ramjet/update.pub"] = string(key)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	config, err := Config(top, s.Board, s.Version, s.Password, s.Host, files)
	if err != nil {
		return nil, err
	}
	if s.Edit != nil {
		var tree map[string]any
		if err := json.Unmarshal(config, &tree); err != nil {
			return nil, err
		}
		s.Edit(tree)
		if config, err = json.MarshalIndent(tree, "", "    "); err != nil {
			return nil, err
		}
	}
	return config, writeInstance(s.Root, s.Parent, s.Name, config)
}

// Prepare writes the instance directory alone, with the defaults filled into
// s. It is all that "gok update" needs.
func Prepare(ctx context.Context, s *Spec) error {
	if err := s.complete(ctx); err != nil {
		return err
	}
	held, err := lock(s.Parent)
	if err != nil {
		return err
	}
	defer held.Close()
	_, err = s.prepare()
	return err
}

// Build makes the disk image s.Out, with the defaults filled into s. The image
// appears under its name only when it is complete.
func Build(ctx context.Context, s *Spec) error {
	if err := s.complete(ctx); err != nil {
		return err
	}
	if _, err := LookTool("mkfs.ext4", "e2fsprogs"); err != nil {
		return err
	}
	held, err := lock(s.Parent)
	if err != nil {
		return err
	}
	defer held.Close()
	config, err := s.prepare()
	if err != nil {
		return err
	}
	mark, err := fingerprint(s.Root, config)
	if err != nil {
		return err
	}
	mark = fmt.Sprintf("%s %d\n", mark, s.Size)
	stamp := filepath.Join(s.Parent, s.Name, "image.stamp")
	if s.IfChanged && upToDate(s.Out, stamp, mark) {
		fmt.Fprintf(s.Log, "%s is up to date\n", s.Out)
		return nil
	}

	partial := s.Out + ".partial"
	defer os.Remove(partial)
	if err := s.gok(ctx, "overwrite", "--full", partial, "--target_storage_bytes", fmt.Sprint(s.Size)); err != nil {
		return err
	}
	if err := FormatPerm(ctx, partial); err != nil {
		return err
	}
	// The image holds the update password.
	if err := os.Chmod(partial, 0o600); err != nil {
		return err
	}
	if err := os.Rename(partial, s.Out); err != nil {
		return err
	}
	return renameio.WriteFile(stamp, []byte(mark), 0o644)
}

// upToDate reports whether image exists and was built from what mark says.
func upToDate(image, stamp, mark string) bool {
	if _, err := os.Stat(image); err != nil {
		return false
	}
	have, err := os.ReadFile(stamp)
	return err == nil && string(have) == mark
}

// gok runs the stock tool on the instance.
func (s *Spec) gok(ctx context.Context, args ...string) error {
	args = append([]string{"tool", "gok", "--parent_dir", s.Parent, "-i", s.Name}, args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.Root
	cmd.Stdout, cmd.Stderr = s.Log, s.Log
	// The go command starts gok, which has to end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Parts writes what "gok update" would send into a directory, as files: for who signs it.
func Parts(ctx context.Context, s *Spec, dir string) error {
	if err := Prepare(ctx, s); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	args := []string{"overwrite"}
	for _, part := range signed.Parts {
		args = append(args, "--"+part, filepath.Join(dir, part))
	}
	return s.gok(ctx, args...)
}

// Update builds the instance's programs anew and sends them to the running
// box at s.Host: "gok update".
func Update(ctx context.Context, s *Spec) error {
	if s.Host == "" {
		return errors.New("update: no host given")
	}
	if err := Prepare(ctx, s); err != nil {
		return err
	}
	return s.gok(ctx, "update")
}

// Version names what is built: $VERSION, else what git calls this commit, else
// "dev" (no git, or no repository).
func Version(ctx context.Context, root string) string {
	if v := os.Getenv("VERSION"); v != "" {
		return v
	}
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty")
	cmd.Dir = root
	out, err := cmd.Output()
	if v := strings.TrimSpace(string(out)); err == nil && v != "" {
		return v
	}
	return "dev"
}

// FindRoot returns the nearest directory, from dir upwards, with a go.mod and
// a config.json in it: the top of the repository.
func FindRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		_, mod := os.Stat(filepath.Join(at, "go.mod"))
		_, config := os.Stat(filepath.Join(at, "config.json"))
		if mod == nil && config == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod and config.json in %s or above it", dir)
		}
	}
}
