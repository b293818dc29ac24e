// Package site provides a real web site for the stories: the HTML manuals of
// Debian packages, fetched from Debian's archive and unpacked without being
// installed.
package site

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Packages are Debian packages with manuals in HTML. The first has some 900
// files and twice as many links within the tree, the second one that leaves it.
func Packages() []string { return []string{"apache2-doc", "debian-reference-en"} }

// Fetch returns the root of the site, a directory under dir. It downloads and
// unpacks the packages unless that was done before.
func Fetch(ctx context.Context, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "site.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("flock %s: %w", lock.Name(), err)
	}
	done := filepath.Join(dir, "site")
	root := filepath.Join(done, "usr/share/doc")
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	work, err := os.MkdirTemp(dir, "site-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	// apt hands the download to a user of its own when it runs as root.
	if err := os.Chmod(work, 0o777); err != nil {
		return "", err
	}
	if err := run(ctx, work, "apt-get", append([]string{"download", "-qq"}, Packages()...)...); err != nil {
		return "", err
	}
	archives, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return "", err
	}
	tree := filepath.Join(work, "tree")
	for _, a := range archives {
		if err := run(ctx, work, "dpkg-deb", "-x", a, tree); err != nil {
			return "", err
		}
	}
	return root, os.Rename(tree, done)
}

func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// File is a regular file of a site.
type File struct {
	// Name is the path below the root, with slashes.
	Name string
	// Path is the file on this machine.
	Path string
	// Size in bytes.
	Size int64
	// Modified is what Last-Modified must say.
	Modified time.Time
}

// Link is a symbolic link of a site.
type Link struct {
	// Name is the path below the root, with slashes.
	Name string
	// Target is the regular file in the tree that it leads to, or empty when
	// it leads out of the tree, to nothing, or to a directory.
	Target string
	// Leaves says that it leads out of the tree.
	Leaves bool
}

// Walk lists the files and links below root.
func Walk(root string) ([]File, []Link, error) {
	var files []File
	var links []Link
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			links = append(links, follow(root, path, name))
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, File{Name: name, Path: path, Size: info.Size(), Modified: info.ModTime()})
		return nil
	})
	return files, links, err
}

// follow finds out where the link at path leads.
func follow(root, path, name string) Link {
	link := Link{Name: name}
	text, err := os.Readlink(path)
	if err != nil {
		return link
	}
	direct := filepath.Join(filepath.Dir(path), text)
	if filepath.IsAbs(text) {
		direct = text
	}
	if rel, err := filepath.Rel(root, direct); err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		link.Leaves = true
		return link
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		link.Target, _ = filepath.EvalSymlinks(path)
	}
	return link
}
