package main

import (
	"context"
	"log/slog"
	"time"

	"ramjet/appliance/release"
)

// scrubbing reads all that is published once a week, to find what the disk has changed by itself while nobody asked for it.
type scrubbing struct {
	store *release.Store
	first time.Duration // after the start: the box has other things to do then
	look  time.Duration // from one look at the time of the last scrub to the next
}

// scrubEvery is from the end of one scrub to the next, scrubRate how many bytes a second are read: 10 GB in less than an hour.
const (
	scrubEvery = 7 * 24 * time.Hour
	scrubRate  = 4 << 20
)

// String names the task.
func (s *scrubbing) String() string { return "scrub" }

// Run scrubs until ctx ends. A disk that cannot be read now is tried again.
func (s *scrubbing) Run(ctx context.Context) error {
	timer := time.NewTimer(s.first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(s.look)
		last, err := s.store.LastScrub()
		if err == nil && last != nil && time.Since(last.Time).Abs() < scrubEvery { // A clock that is not set yet is years away.
			continue
		}
		found, err := s.store.Scrub(ctx, scrubRate)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			slog.Debug("what is published cannot be read through now", "err", err)
		case found.Contents > 0:
			slog.Info("all that is published was read", "contents", found.Contents, "bytes", found.Bytes, "rotten", len(found.Rotten))
		}
	}
}
