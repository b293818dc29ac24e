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
	last    *watch.Escalation
}

// newWatching: ports are those that the box has to listen on besides the accelerator.
func newWatching(s *settings, ports []string) *watching {
	w := &watching{}
	program := filepath.Base(s.accelerator)
	w.last = &watch.Escalation{Reboot: &watch.Reboot{File: filepath.Join(s.state, "reboot.json"), Allowed: s.reboot}}
	w.tree = &health.Tree{
		Socket: s.admin, Site: filepath.Join(s.dir, "site"), Gokrazy: gokrazySocket, Program: program,
		Baseline: filepath.Join(s.state, "health.json"),
	}
	for _, p := range ports {
		if p != "" {
			w.tree.Ports = append(w.tree.Ports, p)
		}
	}
	w.watcher = &watch.Watcher{
		Socket: s.admin, Listen: hostOf(s.probe), Program: program, Escalate: w.last.Escalate,
		Stopped: func(ctx context.Context) bool { return w.tree.Stopped(ctx, s.accelerator) },
	}
	if s.reboot {
		w.watcher.Dog = &watch.Dog{Path: "/dev/watchdog1"}
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
