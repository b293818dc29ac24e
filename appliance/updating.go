package main

import (
	"os"

	"ramjet/appliance/update"
	"ramjet/appliance/update/disk"
)

// gokrazySocket is where gokrazy's own interface is.
const gokrazySocket = "/run/gokrazy-http.sock"

// newUpdater returns what makes updates trials, or why it cannot be done.
func newUpdater(gate update.Health) (*update.Updater, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	here, err := disk.Find(string(line), "/sys", "/dev")
	if err != nil {
		return nil, err
	}
	u := &update.Updater{
		Dir: "/perm/ramjet/update", Memory: "/run/ramjet/update", Disk: here, Name: version, Line: string(line), Health: gate,
	}
	if err := u.Open(); err != nil {
		return nil, err
	}
	return u, nil
}
