// Command image writes a flashable disk image of the box for one board.
//
//	go run ./appliance/image -board amd64
//
// The image is build/ramjet-amd64.img: boot partition, two roots, and a
// formatted /perm. The last lines say how large it is and how to flash it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/update/disk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var (
		board    = flag.String("board", "amd64", "hardware to build for: amd64, arm64 or rpi")
		out      = flag.String("out", "", "image file (default build/ramjet-<board>.img)")
		size     = flag.Int64("size", instance.DefaultSize, "size of the image in bytes, a multiple of 512")
		version  = flag.String("version", "", "version of the programs (default $VERSION, else git describe, else dev)")
		password = flag.String("update-password", "", "password of the update interface (default: made once, in build/http-password.txt)")
		box      = flag.String("box", "", "host name or address of a running box, for gok update")
		prepare  = flag.Bool("prepare", false, "write only the instance directory that gok update reads")
		parts    = flag.String("parts", "", "write what gok update would send into this directory, to be signed, and nothing else")
		changed  = flag.Bool("if-changed", false, "keep an image that was built from the same sources")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	chosen, err := instance.FindBoard(*board)
	if err != nil {
		return err
	}
	root, err := instance.FindRoot(".")
	if err != nil {
		return err
	}
	spec := &instance.Spec{
		Root: root, Board: chosen, Out: *out, Size: *size, Version: *version,
		Password: *password, Host: *box, IfChanged: *changed, Log: os.Stdout,
	}
	if *parts != "" {
		return instance.Parts(ctx, spec, *parts)
	}
	if *prepare {
		return instance.Prepare(ctx, spec)
	}
	if err := instance.Build(ctx, spec); err != nil {
		return err
	}
	return summary(spec)
}

// summary prints the sizes and the command that flashes the image.
func summary(spec *instance.Spec) error {
	f, err := os.Open(spec.Out)
	if err != nil {
		return err
	}
	defer f.Close()
	boot, err := disk.FindPartition(f, disk.Boot)
	if err != nil {
		return err
	}
	root, err := disk.FindPartition(f, disk.RootA)
	if err != nil {
		return err
	}
	bootSize, err := instance.BootSize(f, boot)
	if err != nil {
		return err
	}
	rootSize, err := instance.RootSize(f, root)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var onDisk int64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		onDisk = st.Blocks * 512
	}
	name := spec.Out
	if wd, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(wd, name); err == nil {
			name = short
		}
	}
	const mb = 1e6
	fmt.Printf("\n%s, version %s, for %s\n", name, spec.Version, spec.Board.For)
	fmt.Printf("  image %.0f MB (%.0f MB on disk), root %.1f MB of %.0f, boot %.1f MB of %.0f\n",
		float64(info.Size())/mb, float64(onDisk)/mb,
		float64(rootSize)/mb, float64(root.Size)/mb, float64(bootSize)/mb, float64(boot.Size)/mb)
	fmt.Printf("  /perm is formatted already; the update password is in %s\n",
		filepath.Join(filepath.Dir(name), spec.Name, "config.json"))
	fmt.Printf("\nFlash it (replace sdX by your disk; all of it is overwritten):\n\n")
	fmt.Printf("  sudo dd if=%s of=/dev/sdX bs=4M conv=fsync status=progress\n\n", name)
	return nil
}
