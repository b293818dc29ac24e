package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"ramjet/accelerator/config"
	"ramjet/accelerator/content"
	"ramjet/accelerator/resolver"
	"ramjet/accelerator/site"
)

// loadOnce builds the site of a configuration and loads its content, without
// listening.
func loadOnce(ctx context.Context, c *config.Config) (*site.Site, error) {
	quiet := slog.New(slog.DiscardHandler)
	store := content.NewStore(contentOptions(c), quiet)
	if err := store.Load(ctx); err != nil {
		return nil, rootError(c.Content.Root, err)
	}
	unknown := func(resolver.Name) []resolver.Target { return nil } // Nobody is asked.
	s, _, err := newSite(c, store, unknown, nil, nil, quiet)
	return s, err
}

// rootError says what to do about content that cannot be read.
func rootError(root string, err error) error {
	return usageError{fmt.Errorf("content root %s: %w (give the folder of the site with -root or content.root)", root, err)}
}

// explain prints what a GET for target would get, and why.
func explain(ctx context.Context, c *config.Config, target string, out io.Writer) error {
	s, err := loadOnce(ctx, c)
	if err != nil {
		return err
	}
	text, err := s.Explain(target)
	if err != nil {
		return usageError{err}
	}
	_, err = io.WriteString(out, text)
	return err
}

// check does everything but listen, and prints what it found.
func check(ctx context.Context, l *loaded, farmFile string, out io.Writer) error {
	if l.wanted.trouble != nil {
		return usageError{l.wanted.trouble}
	}
	c := l.config
	s, err := loadOnce(ctx, c)
	if err != nil {
		return err
	}
	snapshot := s.Store.Snapshot()
	fmt.Fprintf(out, "configuration  %s\n", l.name())
	if l.wanted.from == fromSaved {
		fmt.Fprintf(out, "farm           %s, in the place of the configuration's own\n", farmFile)
	}
	fmt.Fprintf(out, "listen         %s\n", c.Listen)
	if c.Content.Root == "" {
		fmt.Fprintf(out, "content        none\n")
	} else {
		fmt.Fprintf(out, "content        %s: %d files, %d in memory (%d bytes), %d open\n",
			snapshot.Root, snapshot.Files, snapshot.MemoryFiles, snapshot.MemoryBytes, snapshot.OpenFiles)
	}
	if snapshot.Release != "" {
		fmt.Fprintf(out, "release        %s\n", snapshot.Release)
	}
	for _, skip := range snapshot.Skipped {
		fmt.Fprintf(out, "not served     %s: %s\n", skip.Path, skip.Why)
	}
	for _, p := range c.AllPools() {
		of := ""
		if p.Name != config.DefaultPool {
			of = ", pool " + p.Name
		}
		for _, b := range p.Backends {
			fmt.Fprintf(out, "backend        %s, weight %d%s\n", b.URL, b.Weight, of)
		}
	}
	for i, r := range c.Routes {
		fmt.Fprintf(out, "route          %d: %s, to %s\n", i, routeText(&r), r.Pool)
	}
	for _, p := range c.Pools {
		if !slices.ContainsFunc(c.Routes, func(r config.Route) bool { return r.Pool == p.Name }) {
			fmt.Fprintf(out, "note           no route leads to the pool %s\n", p.Name)
		}
	}
	if len(c.AllPools()) == 0 {
		fmt.Fprintf(out, "backend        none: what is not static is answered here\n")
	}
	fmt.Fprintln(out, "ok")
	return nil
}
