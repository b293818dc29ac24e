package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"ramjet/accelerator/bench/fileset"
	"ramjet/accelerator/bench/peer"
)

// setUp makes the files, builds Ramjet and the floor, and finds the peers.
func setUp(ctx context.Context, o *options) (*lab, error) {
	c, err := findCores()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ramjet-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, root: filepath.Join(dir, "www"), plan: o.plan, cores: c, programs: map[string]*peer.Program{}}
	if err := l.fill(ctx, o); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) fill(ctx context.Context, o *options) error {
	if err := os.Chmod(l.dir, 0o755); err != nil { // Workers may not be root.
		return err
	}
	if err := l.findPeers(o.install); err != nil {
		return err
	}
	if err := l.findRamjet(ctx, o.ramjet); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "making the files")
	if err := fileset.Write(l.root); err != nil {
		return err
	}
	return filepath.WalkDir(l.root, func(_ string, d os.DirEntry, err error) error {
		l.files++
		return err
	})
}

// close removes all files.
func (l *lab) close() { os.RemoveAll(l.dir) }

// findPeers finds the other servers and a C compiler, and installs what is
// missing. What cannot be had is left out, with a line that says so.
func (l *lab) findPeers(install bool) error {
	kinds := []peer.Kind{peer.Nginx, peer.H2O, peer.Lighttpd, peer.HAProxy}
	var missing []string
	for _, kind := range kinds {
		if _, err := kind.Find(); err != nil {
			missing = append(missing, kind.Debian)
		}
	}
	if _, err := os.Stat(peer.Brotli); err != nil {
		missing = append(missing, peer.BrotliDebian)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		missing = append(missing, "gcc", "libc6-dev")
	}
	if install && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "installing", missing)
		if err := peer.Install(missing...); err != nil {
			fmt.Fprintln(os.Stderr, "could not install what is missing:", err)
		}
	}
	for _, kind := range kinds {
		program, err := kind.Find()
		if err != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", kind.Name, err)
			continue
		}
		l.programs[kind.Name] = program
	}
	return nil
}

// findRamjet builds Ramjet, unless a program was given, and the floor.
func (l *lab) findRamjet(ctx context.Context, given string) (err error) {
	if given == "" {
		fmt.Fprintln(os.Stderr, "building the accelerator")
		if given, err = peer.BuildRamjet(ctx, l.dir); err != nil {
			return err
		}
	}
	if given, err = filepath.Abs(given); err != nil {
		return err
	}
	program, err := peer.Ramjet.At(given)
	if err != nil {
		return err
	}
	l.programs[ramjet], l.programs[netHTTP] = program, program
	l.knows = program.Knows(l.dir, map[string]string{
		"eventloop":  `{"disabled": false, "loops": 1}`,
		"access_log": `{"format": "combined", "to": "stdout"}`,
	})
	if l.floor, err = peer.BuildFloor(ctx, l.dir); err != nil {
		fmt.Fprintf(os.Stderr, "without the C floor: %v\n", err)
		l.floor = ""
	}
	return nil
}

// chosen are the benchmarks and subjects that were asked for.
func (l *lab) chosen(o *options) []benchmark {
	var all []benchmark
	for _, b := range benchmarks() {
		if !o.cases.MatchString(b.name) {
			continue
		}
		if o.servers != nil {
			// A copy, for benchmarks share their lists.
			b.subjects = slices.DeleteFunc(slices.Clone(b.subjects), func(s subject) bool { return !slices.Contains(o.servers, s.server) })
		}
		if slices.ContainsFunc(b.subjects, l.usable) {
			all = append(all, b)
		}
	}
	return all
}
