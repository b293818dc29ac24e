package main

import (
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
// line, then its other flags.
type source struct {
	options *options
	log     *slog.Logger
	file    string // the file in force, "" for the defaults
	note    string // what had to be changed to fit the machine
}

// loadConfig reads a file and tries the files that it names: one that is missing
// makes the configuration invalid, as any other mistake in it does.
func loadConfig(file string) (*config.Config, error) {
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	for _, p := range c.AllPools() {
		if _, err := backendTLS(&p); err != nil {
			return nil, fmt.Errorf("%s: %v", file, err) // Not wrapped: it is not the file itself that does not exist.
		}
	}
	return c, nil
}

// first returns the configuration to start with. Of several files the first that
// exists and is valid counts: the others are reported, but a bad edit never
// keeps the box from serving. A single file has to be right.
func (s *source) first() (*config.Config, error) {
	files := s.options.configs
	if len(files) == 1 {
		c, err := loadConfig(files[0])
		if err != nil {
			return nil, usageError{err}
		}
		s.file = files[0]
		return s.override(c)
	}
	for _, file := range files {
		c, err := loadConfig(file)
		if err == nil {
			s.file = file
			return s.override(c)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Error("the configuration is not valid, using the next in line", "file", file, "err", err)
		}
	}
	return s.override(config.Default())
}

// again returns the configuration for a reload. Here the first file that exists
// must be valid: the old configuration is better than the next in line.
func (s *source) again() (*config.Config, error) {
	for _, file := range s.options.configs {
		c, err := loadConfig(file)
		if errors.Is(err, fs.ErrNotExist) && len(s.options.configs) > 1 {
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err = s.override(c)
		if err == nil {
			s.file = file
		}
		return c, err
	}
	s.file = ""
	return s.override(config.Default())
}

// name says where the configuration comes from.
func (s *source) name() string {
	if s.file == "" {
		return "built-in defaults"
	}
	return s.file
}

// override applies the flags, which are validated as the file is.
func (s *source) override(c *config.Config) (*config.Config, error) {
	o := s.options
	if o.listen != "" {
		err := config.CheckListen(o.listen)
		if err != nil {
			return nil, usageError{fmt.Errorf("-listen: %w", err)}
		}
		c.Listen = o.listen
	}
	if o.backend != "" {
		u, err := config.ParseBackend(o.backend)
		if err != nil {
			return nil, usageError{fmt.Errorf("-backend: %w", err)}
		}
		c.Backends = []config.Backend{{URL: u}}
	}
	if o.root != "" {
		if c.Content.Root != "" {
			s.log.Warn("content.root is overruled by -root", "file", s.file, "root", o.root)
		}
		c.Content.Root = o.root
	}
	if o.admin != "" {
		c.Admin = o.admin
	}
	var err error
	if s.note, err = raiseFileLimit(c); err != nil {
		return nil, err
	}
	if c.Content.Root != "" {
		root, err := filepath.Abs(c.Content.Root)
		if err != nil {
			return nil, err
		}
		c.Content.Root = root
	}
	return c, nil
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
