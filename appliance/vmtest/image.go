package vmtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/update/disk"
	"ramjet/appliance/vmtest/site"
)

// Image returns the spec of a board's image, version Version, and builds the
// image if the sources have changed since the last time.
func Image(t testing.TB, boardName string) *instance.Spec {
	t.Helper()
	return variant(t, boardName, "", nil)
}

// variant is Image with a configuration that edit has changed; name tells it from others.
func variant(t testing.TB, boardName, name string, edit func(config map[string]any)) *instance.Spec {
	t.Helper()
	board, err := instance.FindBoard(boardName)
	if err != nil {
		t.Fatal(err)
	}
	spec := &instance.Spec{
		Root: Root(t), Board: board, Parent: BuildDir(t), Version: Version,
		IfChanged: true, Log: &tail{}, Edit: edit,
	}
	if name != "" {
		spec.Name = "ramjet-" + boardName + "-" + name
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if err := instance.Build(ctx, spec); err != nil {
		t.Fatalf("building the %s image: %v\n%s", boardName, err, spec.Log)
	}
	return spec
}

// tail is a writer that keeps the last few kilobytes, for error messages.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - 8192; extra > 0 {
		t.kept = t.kept[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }

// Site returns a real web site: its root and its files and links.
func Site(t testing.TB) (string, []site.File, []site.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	root, err := site.Fetch(ctx, BuildDir(t))
	if err != nil {
		t.Fatal(err)
	}
	files, links, err := site.Walk(root)
	if err != nil {
		t.Fatal(err)
	}
	return root, files, links
}

// ContentDisk makes an ext4 file system with label RAMJET from a directory
// tree and returns its image. extra files are added at its root, by name.
func ContentDisk(t testing.TB, tree string, extra map[string]string) string {
	t.Helper()
	dir := TempDir(t)
	if len(extra) > 0 {
		whole := filepath.Join(dir, "tree")
		command(t, "cp", "-a", tree, whole)
		for name, text := range extra {
			if err := os.WriteFile(filepath.Join(whole, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tree = whole
	}
	image := filepath.Join(dir, "content.img")
	if err := MakeContentDisk(t.Context(), tree, image); err != nil {
		t.Fatal(err)
	}
	return image
}

// MakeContentDisk makes an ext4 file system with label RAMJET from a directory
// tree, in a new file of 512 MB (sparse) or twice the tree's size.
func MakeContentDisk(ctx context.Context, tree, image string) error {
	mkfs, err := instance.LookTool("mkfs.ext4", "e2fsprogs")
	if err != nil {
		return err
	}
	files, _, err := site.Walk(tree)
	if err != nil {
		return err
	}
	var content int64
	for _, f := range files {
		content += f.Size + 4096
	}
	size := max(2*content, 512<<20)
	cmd := exec.CommandContext(ctx, mkfs, "-q", "-F", "-L", "RAMJET", "-m", "0",
		"-d", tree, image, fmt.Sprintf("%dk", size/1024))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4 -d %s: %w: %s", tree, err, out)
	}
	return nil
}

// copySparse copies a disk image without filling its holes.
func copySparse(t testing.TB, from, to string) {
	t.Helper()
	command(t, "cp", "--sparse=always", "--reflink=auto", from, to)
}

// writePerm copies a file to the /perm partition of a disk image.
func writePerm(t testing.TB, image, name, source string) {
	t.Helper()
	debugfs, err := instance.LookTool("debugfs", "e2fsprogs")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	perm, err := disk.FindPartition(f, disk.Perm)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("write %s %s\n", source, filepath.Base(name))
	if dir := filepath.Dir(name); dir != "." {
		script = fmt.Sprintf("mkdir %s\ncd %s\n%s", dir, dir, script)
	}
	commands := filepath.Join(TempDir(t), "commands")
	if err := os.WriteFile(commands, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, debugfs, "-w", "-f", commands, fmt.Sprintf("%s?offset=%d", image, perm.Offset))
}

// command runs a program that is expected to succeed.
func command(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// CopyTree copies a directory tree to a place that other users can read, and
// returns the copy.
func CopyTree(t testing.TB, tree string) string {
	t.Helper()
	to := filepath.Join(TempDir(t), "tree")
	command(t, "cp", "-a", tree, to)
	return to
}
