package peer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Install installs Debian packages with apt, where this user may. Their
// services are not started: a benchmark has no business on port 80.
func Install(packages ...string) error {
	if len(packages) == 0 {
		return nil
	}
	prefix, able := apt()
	if !able {
		return errors.New("this user may not install packages")
	}
	undo, err := forbidServices(prefix)
	if err != nil {
		return err
	}
	defer undo()
	if out, err := run(prefix, "apt-get", "update", "-qq"); err != nil {
		return fmt.Errorf("apt-get update: %w: %s", err, out)
	}
	var failed []error // One that is not to be had does not stop the others.
	for _, name := range packages {
		if out, err := run(prefix, "apt-get", "install", "-qq", "-y", "--no-install-recommends", name); err != nil {
			failed = append(failed, fmt.Errorf("apt-get install %s: %w: %s", name, err, out))
		}
	}
	return errors.Join(failed...)
}

// forbidServices keeps a package's installation from starting its service, by
// the means that Debian has for it. One that is there already is left alone.
func forbidServices(prefix []string) (undo func(), err error) {
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); err == nil {
		return func() {}, nil
	}
	if out, err := run(prefix, "sh", "-c", "printf '#!/bin/sh\nexit 101\n' > "+policy+" && chmod 755 "+policy); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", policy, err, out)
	}
	return func() {
		if out, err := run(prefix, "rm", policy); err != nil {
			fmt.Fprintf(os.Stderr, "remove %s yourself, for services to start again: %v: %s\n", policy, err, out)
		}
	}, nil
}

// apt says whether this program may install packages, and behind which prefix.
func apt() (prefix []string, able bool) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, false
	}
	if os.Getuid() == 0 {
		return []string{"env", "DEBIAN_FRONTEND=noninteractive"}, true
	}
	if exec.Command("sudo", "-n", "true").Run() != nil {
		return nil, false
	}
	return []string{"sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"}, true
}

func run(prefix []string, command ...string) ([]byte, error) {
	all := append(slices.Clone(prefix), command...)
	return exec.Command(all[0], all[1:]...).CombinedOutput()
}
