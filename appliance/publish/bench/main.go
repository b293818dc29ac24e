// Command bench measures publishing, whole, as its user sees it: the real appliance and the real accelerator in a network
// namespace of their own, joined with this one by a veth pair, and beside them rsync with its own daemon. Both get the same
// files on the same disk, in turn, round after round; what counts is the ratio within a round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const usage = `bench compares appliance publish with rsync, and measures flips of large sites.
It needs root, ip (Debian: iproute2), rsync and mkfs.ext4 (e2fsprogs), and takes about 3 minutes.

  sudo go run ./appliance/publish/bench              all of it; writes RESULTS.md
  sudo go run ./appliance/publish/bench -rounds 1    a look; writes nothing

Flags:
`

// defaultRounds are those of which the results are written down.
const defaultRounds = 5

func main() {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	rounds := flags.Int("rounds", defaultRounds, "`NUMBER` of times that everything is measured")
	dir := flags.String("dir", "", "`DIRECTORY` for the image of a file system, on the disk to measure (default: that of temporary files)")
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil || flags.NArg() > 0 || *rounds < 1:
		fmt.Fprintln(os.Stderr, "bench: wrong usage; see -h")
		os.Exit(2)
	}
	// Ended by a signal, it ends what it started first.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := bench(ctx, *dir, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench does it all.
func bench(ctx context.Context, dir string, rounds int) error {
	for name, debianPackage := range map[string]string{"rsync": "rsync", "ip": "iproute2", "mkfs.ext4": "e2fsprogs"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is missing: apt-get install %s", name, debianPackage)
		}
	}
	dir, err := os.MkdirTemp(dir, "publish-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, err := join(ctx)
	if err != nil {
		return err
	}
	defer n.part()
	programs, err := build(ctx, dir)
	if err != nil {
		return err
	}
	disk, unmount, err := newDisk(ctx, dir)
	if err != nil {
		return err
	}
	defer unmount()
	l := &lab{dir: disk, network: n, programs: programs}
	published, err := l.publishing(ctx, rounds)
	if err != nil {
		return err
	}
	flipped, err := l.flipping(ctx, rounds)
	if err != nil {
		return err
	}
	text := report(published, flipped, rounds)
	fmt.Print(text)
	if rounds < defaultRounds {
		return nil
	}
	return writeResults(ctx, text)
}

// programs are those that are measured, and with which.
type programs struct{ appliance, accelerator string }

func build(ctx context.Context, dir string) (programs, error) {
	fmt.Fprintln(os.Stderr, "building")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", dir, "ramjet/appliance", "ramjet/accelerator").CombinedOutput()
	if err != nil {
		return programs{}, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return programs{filepath.Join(dir, "appliance"), filepath.Join(dir, "accelerator")}, nil
}

func writeResults(ctx context.Context, text string) error {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "ramjet").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	return os.WriteFile(filepath.Join(strings.TrimSpace(string(module)), "appliance", "publish", "RESULTS.md"), []byte(text), 0o644)
}
