package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ramjet/accelerator/config"
)

// source is where the configuration comes from: the files named on the command
// line, then its other flags, then the farm that was saved.
type source struct {
	options *options
	log     *slog.Logger
}

// loaded is a configuration that can be put to work. Immutable.
type loaded struct {
	config *config.Config
	file   string // "" for the defaults
	note   string // what had to be changed to fit the machine
	wanted wantedFarm

	own     *config.Config // with the farm of file and flags, and all that was asked for
	ownFarm []byte
}

// name says where the configuration comes from.
func (l *loaded) name() string {
	if l.file == "" {
		return "built-in defaults"
	}
	return l.file
}

// read reads a file, or the defaults if it has no name, and tries the files that it
// names: one that is missing makes the configuration invalid, as any other mistake
// in it does.
func (s *source) read(file string) (*loaded, error) {
	defaults := config.Default()
	if s.options.listenDefault != "" {
		if err := config.CheckListen(s.options.listenDefault); err != nil {
			return nil, usageError{fmt.Errorf("-listen-default: %w", err)}
		}
		defaults.Listen = s.options.listenDefault
	}
	if file == "" {
		return parsedOver(defaults, "", nil)
	}
	text, err := config.Read(file)
	if err != nil {
		return nil, err
	}
	return parsedOver(defaults, file, text)
}

func parsed(file string, text []byte) (*loaded, error) {
	return parsedOver(config.Default(), file, text)
}

// parsedOver uses the defaults up.
func parsedOver(defaults *config.Config, file string, text []byte) (*loaded, error) {
	l := &loaded{file: file}
	var err error
	if l.own, err = config.ParseOver(defaults, file, text); err != nil {
		return nil, err
	}
	if l.ownFarm, err = config.Farm(file, text); err != nil {
		return nil, err
	}
	return l, tryFiles(file, l.own)
}

// tryFiles reads the files that the pools of a configuration name.
func tryFiles(name string, c *config.Config) error {
	for _, p := range c.AllPools() {
		if _, err := backendTLS(&p); err != nil {
			return fmt.Errorf("%s: %v", name, err) // Not wrapped: it is not the file itself that does not exist.
		}
	}
	return nil
}

// first returns the configuration to start with. Of several files the first that
// exists and is valid counts: the others are reported, but a bad edit never
// keeps the box from serving. A single file has to be right.
func (s *source) first() (*loaded, error) {
	files := s.options.configs
	if len(files) == 1 {
		l, err := s.read(files[0])
		if err != nil {
			return nil, usageError{err}
		}
		return s.complete(l, nil)
	}
	for _, file := range files {
		l, err := s.read(file)
		if err == nil {
			return s.complete(l, nil)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Error("the configuration is not valid, using the next in line", "file", file, "err", err)
		}
	}
	return s.defaults(nil)
}

// again returns the configuration for a reload. Here the first file that exists
// must be valid: the old configuration is better than the next in line.
func (s *source) again(now *loaded) (*loaded, error) {
	for _, file := range s.options.configs {
		l, err := s.read(file)
		if errors.Is(err, fs.ErrNotExist) && len(s.options.configs) > 1 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return s.complete(l, now)
	}
	return s.defaults(now)
}

func (s *source) defaults(now *loaded) (*loaded, error) {
	l, err := s.read("")
	if err != nil {
		return nil, err
	}
	return s.complete(l, now)
}

// complete applies the flags and the farm that was saved. now is what is in force,
// if anything is.
func (s *source) complete(l, now *loaded) (*loaded, error) {
	if err := s.override(l); err != nil {
		return nil, err
	}
	next, err := s.withSavedFarm(l, now)
	if err == nil && now != nil && next.wanted.from == now.wanted.from && bytes.Equal(next.wanted.text, now.wanted.text) {
		next.wanted.since = now.wanted.since
	}
	return next, err
}

// override applies the flags, which are validated as the file is.
func (s *source) override(l *loaded) error {
	o, c := s.options, l.own
	if o.listen != "" {
		err := config.CheckListen(o.listen)
		if err != nil {
			return usageError{fmt.Errorf("-listen: %w", err)}
		}
		c.Listen = o.listen
	}
	if o.backend != "" {
		u, err := config.ParseBackend(o.backend)
		if err != nil {
			return usageError{fmt.Errorf("-backend: %w", err)}
		}
		c.Backends = []config.Backend{{URL: u, Weight: 1}}
		l.ownFarm, err = config.MergeFarm(l.ownFarm, "-backend", fmt.Appendf(nil, `{"backends": [{"url": %q}]}`, u))
		if err != nil {
			return err
		}
	}
	if o.root != "" {
		if c.Content.Root != "" {
			s.log.Warn("content.root is overruled by -root", "file", l.file, "root", o.root)
		}
		c.Content.Root = o.root
	}
	if o.admin != "" {
		c.Admin = o.admin
	}
	if c.Content.Root != "" {
		root, err := filepath.Abs(c.Content.Root)
		if err != nil {
			return err
		}
		c.Content.Root = root
	}
	return nil
}

// use makes a configuration, of what was loaded, the one in force.
func (l *loaded) use(c *config.Config, wanted wantedFarm) (*loaded, error) {
	next, fitting := *l, *c
	next.config, next.wanted = &fitting, wanted
	var err error
	next.note, err = raiseFileLimit(&fitting)
	return &next, err
}

// waitForRoot waits for the root to appear: on the box another program mounts it,
// and a configuration file may be on it.
func (o *options) waitForRoot(ctx context.Context, log *slog.Logger) {
	if o.wait <= 0 || o.root == "" {
		return
	}
	deadline := time.Now().Add(o.wait)
	for {
		_, err := os.Stat(o.root)
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Now().After(deadline) {
			log.Warn("the root did not appear, going on without it", "root", o.root, "waited", o.wait)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
