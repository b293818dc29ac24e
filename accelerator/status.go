package main

import (
	"time"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/backend"
	"ramjet/accelerator/content"
	"ramjet/accelerator/eventloop"
)

// status is the answer to GET /status.
type status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ready   bool      `json:"ready"`
	Listen  string    `json:"listen"`

	Config      string    `json:"config"` // the file in force
	ConfigSince time.Time `json:"config_since"`

	// The settings of that file that only a start applies, and that are not those at work.
	NeedsRestart []string `json:"needs_restart,omitempty"`

	Farm     farmStatus      `json:"farm"`
	Content  contentStatus   `json:"content"`
	Backends []backendStatus `json:"backends"`
	Names    []nameStatus    `json:"names"` // of backends
	Loops    []loopStatus    `json:"loops"` // empty: they are disabled

	Connections connectionsStatus `json:"connections"`

	AccessLog *logStatus `json:"access_log,omitempty"` // nil: off
}

// farmStatus says whose farm is in force.
type farmStatus struct {
	From    string    `json:"from"` // configuration, saved, change
	Since   time.Time `json:"since"`
	File    string    `json:"file,omitempty"`    // where one is saved
	Trouble string    `json:"trouble,omitempty"` // why the saved one is not used
}

// connectionsStatus is how many connections there are, and how many there may be: above that, new ones wait.
type connectionsStatus struct {
	Open  int64 `json:"open"`
	Limit int   `json:"limit"` // 0: any number
}

type contentStatus struct {
	Root        string         `json:"root"`
	Release     string         `json:"release,omitempty"`
	Loaded      time.Time      `json:"loaded"`
	TookSeconds float64        `json:"took_seconds"`
	Files       int            `json:"files"`
	MemoryFiles int            `json:"memory_files"`
	MemoryBytes int64          `json:"memory_bytes"`
	OpenFiles   int            `json:"open_files"`
	Unsettled   int            `json:"unsettled"`
	Unread      int            `json:"unread"`
	Skipped     []content.Skip `json:"skipped,omitempty"`
}

type backendStatus struct {
	Pool         string     `json:"pool"`
	URL          string     `json:"url"`
	Weight       int        `json:"weight"`
	State        string     `json:"state"`           // ready, drain
	Health       string     `json:"health"`          // unchecked, up, down
	Agent        string     `json:"agent,omitempty"` // what it says
	EjectedUntil *time.Time `json:"ejected_until,omitempty"`
	Requests     uint64     `json:"requests"`
	InFlight     int64      `json:"in_flight"`
	Failures     uint64     `json:"failures"`
	Ejections    uint64     `json:"ejections"`
}

type logStatus struct {
	Format  string `json:"format"`
	To      string `json:"to"`
	Lines   uint64 `json:"lines"`
	Dropped uint64 `json:"dropped"`
}

type loopStatus struct {
	Connections int64  `json:"connections"` // that stay
	Accepted    uint64 `json:"accepted"`
	Requests    uint64 `json:"requests"`
	Bytes       uint64 `json:"bytes"`
	HandedOff   uint64 `json:"handed_off"`
}

func (s *server) status() any {
	now, snapshot := s.live.Load(), s.store.Snapshot()
	answer := status{
		Version: version, Started: s.started, Ready: s.ready.Load(), Listen: s.listener.Addr().String(),
		Config: now.file, ConfigSince: now.since, NeedsRestart: needRestart(s.config, now.config), Farm: s.farmStatus(now),
		Content: contentStatus{
			Root: snapshot.Root, Release: snapshot.Release, Loaded: snapshot.Loaded, TookSeconds: snapshot.Took.Seconds(),
			Files: snapshot.Files, MemoryFiles: snapshot.MemoryFiles, MemoryBytes: snapshot.MemoryBytes,
			OpenFiles: snapshot.OpenFiles, Unsettled: snapshot.Unsettled, Unread: snapshot.Unread, Skipped: snapshot.Skipped,
		},
		Connections: connectionsStatus{s.listener.Limiter.Open(), s.config.Limits.Connections},
		Backends:    []backendStatus{}, Names: s.nameStates(), Loops: []loopStatus{},
	}
	if s.loops != nil {
		for i := range s.loops.Loops {
			answer.Loops = append(answer.Loops, loopStatus{
				Connections: s.loops.Kept(i), Accepted: s.loops.CountOf(i, eventloop.Accepted),
				Requests: s.loops.CountOf(i, eventloop.Requests), Bytes: s.loops.CountOf(i, eventloop.Bytes),
				HandedOff: s.loops.CountOf(i, eventloop.HandedOff),
			})
		}
	}
	for _, p := range now.farm.pools {
		for _, b := range p.Pool.Backends() {
			answer.Backends = append(answer.Backends, statusOf(p, b))
		}
	}
	if o := logOptions(now.config); o.Format != accesslog.Off {
		n := s.accessLog.Stats()
		answer.AccessLog = &logStatus{Format: o.Format.String(), To: o.To.String(), Lines: n.Lines, Dropped: n.Dropped}
	}
	return answer
}

func (s *server) farmStatus(now *live) farmStatus {
	answer := farmStatus{From: now.wanted.from, Since: now.wanted.since, File: s.source.options.farm}
	if now.wanted.trouble != nil {
		answer.Trouble = now.wanted.trouble.Error()
	}
	return answer
}

func statusOf(p *pool, b *backend.Backend) backendStatus {
	row := backendStatus{
		Pool: p.Name, URL: b.URL.String(), Weight: p.Pool.Weight(b), State: stateOf(b), Health: b.Health().String(), Agent: b.Report().String(), Requests: b.Requests.Load(),
		InFlight: b.InFlight.Load(), Failures: b.Failures.Load(), Ejections: b.Ejections.Load(),
	}
	if until, is := b.Ejected(time.Now()); is {
		row.EjectedUntil = &until
	}
	return row
}

func (s *server) explain(url string) (string, error) { return s.live.Load().site.Explain(url) }
