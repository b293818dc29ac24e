package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/admin"
	"ramjet/accelerator/config"
	"ramjet/accelerator/content"
	"ramjet/accelerator/eventloop"
	"ramjet/accelerator/http1"
	"ramjet/accelerator/resolver"
	"ramjet/accelerator/site"
)

// task is anything that lives as long as the program: Run returns when ctx ends,
// or with the error that ends the program.
type task interface {
	Run(ctx context.Context) error
	String() string
}

// server is the running program.
type server struct {
	config *config.Config // in force at the start; immutable
	loaded *loaded        // the same, with where it comes from
	source *source
	log    *slog.Logger
	level  *slog.LevelVar
	demo   bool
	wait   bool      // -wait: go on without the root
	out    io.Writer // for people, not for the log

	store    *content.Store
	counters site.Counters
	pools    poolRecords
	names    resolver.Watcher
	listener *http1.Listener
	loops    *eventloop.Server // nil if they are disabled
	started  time.Time
	ready    atomic.Bool

	accessLog *accesslog.Log
	logged    *accesslog.Shared // the ring of the net/http server

	reloading sync.Mutex           // held during a reload
	farming   sync.Mutex           // held while the live pool changes, or is replaced
	live      atomic.Pointer[live] // swapped whole by a reload
	admin     *admin.Server        // nil without a socket
}

// live is one configuration at work. Immutable.
type live struct {
	*loaded
	since time.Time // of the configuration; the farm may have changed later
	site  *site.Site
	farm  *farm
}

// view is what the event loops show of it.
func (l *live) view() *content.View {
	return &content.View{Store: l.site.Store, Rules: l.site.Rules, Server: l.site.Server}
}

// serve runs the program until a signal or an error ends it.
func serve(ctx context.Context, s *server) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		received := <-stop
		signal.Stop(stop) // A second one ends the program at once.
		cancel(ended{received})
	}()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	s.started = time.Now()
	defer s.startLog()()
	tasks, err := s.start(ctx)
	if err != nil {
		return err
	}
	tasks = append(tasks, &signals{hangup: hangup, reload: s.reload, log: s.log})
	group, running := errgroup.WithContext(ctx)
	for _, t := range tasks {
		group.Go(func() error {
			if err := t.Run(running); err != nil {
				return fmt.Errorf("%s: %w", t, err)
			}
			return nil
		})
	}
	s.announce()
	if err := group.Wait(); err != nil {
		return err
	}
	s.log.Info("ended", "cause", context.Cause(ctx))
	return context.Cause(ctx)
}

// ended is the error of a program that a signal ended, after it drained.
type ended struct{ os.Signal }

func (e ended) Error() string { return e.String() }

// start loads the content, then listens: whoever connects finds all of it.
func (s *server) start(ctx context.Context) ([]task, error) {
	if s.loaded.note != "" {
		s.log.Info(s.loaded.note)
	}
	s.pools.log = s.log
	s.names.Log, s.names.Changed = s.log, s.resolved
	s.store = content.NewStore(contentOptions(s.config), s.log)
	s.store.Loaded = func(snapshot *content.Snapshot) {
		level := slog.LevelInfo
		if snapshot.Changed == 0 {
			level = slog.LevelDebug
		}
		s.log.Log(ctx, level, "content", "root", snapshot.Root, "release", snapshot.Release, "files", snapshot.Files,
			"in_memory", snapshot.MemoryFiles, "bytes", snapshot.MemoryBytes, "unread", snapshot.Unread, "took", snapshot.Took.Round(time.Millisecond))
	}
	if err := s.store.Watch(); err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	if err := s.store.Sketch(ctx); err != nil {
		if !s.wait {
			return nil, rootError(s.config.Content.Root, err)
		}
		s.log.Error("no content yet", "err", err)
	}
	if _, err := s.goLive(s.loaded); err != nil {
		return nil, err
	}
	front, err := s.listen()
	if err != nil {
		return nil, err
	}
	tasks := []task{front, &s.pools, &s.names}
	if s.config.Admin != "" {
		s.admin = &admin.Server{
			Socket: s.config.Admin, Metrics: s.metrics(), Log: s.log,
			Status: s.status, Explain: s.explain, Reload: s.reload,
			Backends: s.backendStates, SetBackends: s.setBackendStates,
			Farm: s.farmText, ChangeFarm: s.changeFarm,
		}
		if err := s.admin.Listen(); err != nil {
			return nil, err
		}
		tasks = append(tasks, s.admin)
	}
	if s.config.Content.Root != "" {
		tasks = append(tasks, s.store)
	}
	return tasks, nil
}

// goLive puts a configuration to work and returns the one that it replaces, nil
// the first time.
func (s *server) goLive(l *loaded) (*live, error) {
	s.farming.Lock()
	defer s.farming.Unlock()
	now, c := s.live.Load(), l.config
	if now == nil {
		s.follow(c)
	} else {
		s.follow(c, now.config.AllPools()...) // Which may have to stay.
	}
	next := &live{loaded: l, since: time.Now()}
	if now != nil && l.own == now.own {
		next.since = now.since
	}
	var err error
	if next.site, next.farm, err = newSite(c, s.store, s.names.Targets, &s.counters, &s.pools, s.log); err != nil {
		if now != nil {
			s.follow(now.config)
		}
		return nil, err
	}
	s.follow(c)
	if now != nil {
		next.farm.inherit(now.farm)
	}
	s.pools.watch(next.farm)
	if s.loops != nil {
		s.loops.Show(next.view(), next.route())
	}
	return s.live.Swap(next), nil
}

// announce says that the program is ready.
func (s *server) announce() {
	s.ready.Store(true)
	s.log.Info("ready", "listen", s.listener.Addr(), "config", s.loaded.name(), "backends", s.live.Load().farm.size())
	if s.demo {
		printDemo(s.out, s.listener.Addr())
	}
}

// signals is the task that turns SIGHUP into a reload.
type signals struct {
	hangup <-chan os.Signal
	reload func(context.Context) (string, error)
	log    *slog.Logger
}

// String names the task.
func (s *signals) String() string { return "signals" }

// Run reloads on each SIGHUP until ctx ends. What went wrong has been logged.
func (s *signals) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hangup:
			_, _ = s.reload(ctx)
		}
	}
}
