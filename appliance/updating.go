package main

import (
	"os"
	"path/filepath"

	"ramjet/appliance/update"
	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/disk"
)

// gokrazySocket is where gokrazy's own interface is.
const gokrazySocket = "/run/gokrazy-http.sock"

// keys are the files of the keys that updates have to be signed with: the box's own, before that of its image.
func (s *settings) keys() []string {
	return []string{filepath.Join(s.state, "update.pub"), instanceKey}
}

// instanceKey is where "make image" puts build/update.pub.
const instanceKey = "/etc/ramjet/update.pub"

// newUpdater returns what makes updates trials, or why it cannot be done.
func newUpdater(gate update.Health, keys []string) (*update.Updater, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	here, err := disk.Find(string(line), "/sys", "/dev")
	if err != nil {
		return nil, err
	}
	if runs, err := here.Runs(); err != nil {
		return nil, err
	} else if !runs {
		line = bootfs.Plain(line)
		if here, err = disk.Find(string(line), "/sys", "/dev"); err != nil {
			return nil, err
		}
	}
	u := &update.Updater{
		Dir: "/perm/ramjet/update", Memory: "/run/ramjet/update", Disk: here, Name: version, Line: string(line), Health: gate, Keys: keys,
	}
	if err := u.Open(); err != nil {
		return nil, err
	}
	return u, nil
}
