package main

import (
	"log/slog"
	"time"

	"ramjet/appliance/access"
	"ramjet/appliance/configuration"
	"ramjet/appliance/control"
	"ramjet/appliance/health"
	"ramjet/appliance/partition"
	"ramjet/appliance/update"
)

// first are the tasks that the site waits for at boot.
func (s *settings) first() []Task {
	flipped := make(chan struct{}, 1)
	return []Task{
		&partition.Watcher{Label: s.label, Dir: s.dir, Fallback: s.fallback, Changed: flipped},
		&partition.Reloader{Socket: s.admin, Changed: flipped},
		newAddresses(),
	}
}

// rest are all others. To build them takes a while: they read what they remember, and look for the disk.
func (s *settings) rest(recording *recording) []Task {
	steering := newSteering(s.state, s.dir, s.api, &configuration.File{Path: s.file, Socket: s.admin, Program: s.accelerator})
	steering.desk.Ended = recording.ended
	who, closed := access.Open(access.Files{Image: s.password, Own: access.Default.Own})
	var ports []string
	if closed == nil {
		who.Asked = recording.asked
		ports = []string{s.control, s.update, s.api}
	} else {
		slog.Warn("nobody can steer the box over the network: there is no password", "err", closed)
	}
	watching := newWatching(s, ports)
	tasks := []Task{steering.desk, steering.network, &scrubbing{store: steering.releases, first: 10 * time.Minute, look: time.Hour}}
	trying := steering.trying
	if closed == nil && s.update != "" {
		updater, err := newUpdater(&health.Gate{Tree: watching.tree}, s.keys())
		if err != nil {
			slog.Warn("updates are no trials on this machine: gokrazy makes them", "err", err)
		} else {
			tasks = append(tasks, updater)
			watching.last.Versions = updater
			trying = func() bool { return steering.trying() || updater.OnTrial() }
		}
		tasks = append(tasks, &update.Server{
			Listen: s.update, Gokrazy: gokrazySocket, Access: who, Updates: updater, Keys: s.keys(), Pages: recording.pages(),
		})
	}
	if closed == nil && s.control != "" {
		tasks = append(tasks, &control.Server{Listen: s.control, Socket: s.admin, Access: who, Health: watching.tree, Pages: recording.pages()})
	}
	if closed == nil && s.api != "" {
		tasks = append(tasks, steering.api(who, watching.tree, recording))
	}
	tasks = append(tasks, recording.tasks()...)
	return append(tasks, watching.tasks(trying)...)
}
