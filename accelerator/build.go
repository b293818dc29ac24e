package main

import (
	"log/slog"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/config"
	"ramjet/accelerator/content"
	"ramjet/accelerator/site"
)

// hidden are the names of the partition's layout that are not content.
var hidden = []string{"ramjet.json", "lost+found", "System Volume Information"}

// contentOptions says what the store loads.
func contentOptions(c *config.Config) content.Options {
	o := content.Options{
		Root: c.Content.Root, Index: c.Content.Index,
		Dotfiles: c.Content.Dotfiles, Hidden: hidden,
		Memory:        c.Content.Memory.Of(totalMemory()),
		MemoryPerFile: c.Content.MemoryPerFile,
		OpenFiles:     c.Content.OpenFiles,
		Types:         c.Content.Types, Charset: c.Content.Charset,
		Settle: c.Content.Settle,
	}
	for _, line := range c.Content.CacheControl {
		o.CacheControl = append(o.CacheControl, content.CacheControl{Match: content.NewGlob(line.Match), Value: line.Value})
	}
	return o
}

// newSite wires one configuration to the store that outlives it.
func newSite(c *config.Config, store *content.Store, known targets, counters *site.Counters, records *poolRecords, log *slog.Logger) (*site.Site, *farm, error) {
	s := &site.Site{
		Store: store, Server: c.Server, BodyBytes: c.Limits.BodyBytes, Counters: counters,
		Rules: &content.Rules{
			IgnoreQuery:  c.Rules.IgnoreQuery,
			PermRequired: c.Rules.PermRequired, PermForbid: c.Rules.PermForbid,
			Dynamic: content.NewPatterns(c.Rules.Dynamic), UnknownType: c.Rules.UnknownType,
		},
	}
	f, err := newFarm(c, known, records, s.ErrorPage, log)
	if err != nil {
		return nil, nil, err
	}
	if len(f.pools) > 0 {
		s.Farm, s.Rules.Farm = f, true
	}
	return s, f, nil
}

// totalMemory returns the machine's memory in bytes, or 1 GiB, the least that
// machines have today, if it cannot be had.
func totalMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30
	}
	return int64(info.Totalram) * int64(info.Unit)
}
