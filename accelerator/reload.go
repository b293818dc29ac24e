package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ramjet/accelerator/config"
)

// reload reads configuration and content again. On an error the old
// configuration stays in force; either way the log and the caller hear of it.
// Calls may overlap; each leaves a state that is whole.
func (s *server) reload(ctx context.Context) (string, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.accessLog.Reopen() // Whether the new settings are right or not.
	now := s.live.Load()
	next, err := s.source.again(now.loaded)
	if err != nil {
		s.log.Error("not reloaded, the old configuration stays", "err", err)
		return "", err
	}
	old, c := now.config, next.config
	s.store.SetOptions(contentOptions(c))
	if err := s.store.Load(ctx); err != nil {
		// The content that was there goes on under the rules that it had.
		s.store.SetOptions(contentOptions(old))
		err = rootError(c.Content.Root, err)
		s.log.Error("not reloaded, the old configuration stays", "err", err)
		return "", err
	}
	replaced, err := s.goLive(next)
	if err != nil {
		return "", err
	}
	s.level.Set(c.LogLevel)
	s.setLog(c)
	replaced.farm.close()
	text := fmt.Sprintf("reloaded %s: %d files, %d backends", next.name(), s.store.Snapshot().Files, s.live.Load().farm.size())
	switch {
	case next.wanted.trouble != nil:
		text += "; the saved farm cannot be used: " + next.wanted.trouble.Error()
	case next.wanted.from == fromSaved:
		text += "; the farm is the saved one"
	case now.wanted.from != fromConfiguration:
		text += "; the farm is the configuration's own again"
	}
	if later := needRestart(s.config, c); len(later) > 0 {
		text += "; takes a restart to change: " + strings.Join(later, ", ")
	}
	s.log.Info(text)
	return text, nil
}

// needRestart names the settings that differ from those the program was started
// with and that only a start applies.
func needRestart(running, wanted *config.Config) []string {
	var names []string
	if running.Listen != wanted.Listen {
		names = append(names, "listen")
	}
	if !slices.Equal(running.ProxyProtocolFrom, wanted.ProxyProtocolFrom) {
		names = append(names, "proxy_protocol_from")
	}
	if running.Admin != wanted.Admin {
		names = append(names, "admin")
	}
	a, b := running.Limits, wanted.Limits
	a.BodyBytes, b.BodyBytes = 0, 0 // The one limit that a reload applies.
	if a != b {
		names = append(names, "limits")
	}
	if running.EventLoop != wanted.EventLoop {
		names = append(names, "eventloop")
	}
	if (running.Content.Root == "") != (wanted.Content.Root == "") {
		names = append(names, "content.root (from or to none)")
	}
	return names
}
