package main

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"

	"ramjet/appliance/health"
	"ramjet/appliance/watch"
)

// watching is how the box looks after itself.
type watching struct {
	tree    *health.Tree
	watcher *watch.Watcher
}

// newWatching: probe is the home page at the accelerator's port; reboot says that the machine is the box's own.
func newWatching(state, site, admin, program, probe string, reboot bool, ports ...string) *watching {
	w := &watching{}
	last := &watch.Reboot{File: filepath.Join(state, "reboot.json"), Allowed: reboot}
	w.tree = &health.Tree{
		Socket: admin, Site: site, Gokrazy: gokrazySocket, Program: filepath.Base(program), Baseline: filepath.Join(state, "health.json"),
	}
	for _, p := range ports {
		if p != "" {
			w.tree.Ports = append(w.tree.Ports, p)
		}
	}
	w.watcher = &watch.Watcher{Socket: admin, Listen: hostOf(probe), Program: filepath.Base(program), Escalate: last.Escalate}
	if reboot {
		w.watcher.Dog = &watch.Dog{Path: "/dev/watchdog1", Stopped: func(ctx context.Context) bool { return w.tree.Stopped(ctx, program) }}
	}
	w.tree.Notes = w.watcher.Notes
	return w
}

// tasks are what has to run. Nothing is kept for later while a trial is on.
func (w *watching) tasks(trial func() bool) []Task {
	return []Task{w.watcher, &health.Keeper{Tree: w.tree, Trial: trial}}
}

// hostOf returns the address in a URL.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		slog.Warn("-probe is no URL with a host", "is", text)
		return ":80"
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
