package publish

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ramjet/appliance/release"
)

// The requests in which contents are sent.
const (
	parallel   = 4       // at a time
	alone      = 4 << 20 // bytes: a larger content has a request of its own
	batchBytes = 4 << 20
	batchFiles = 500
)

// batches orders what is missing into requests, the largest contents first.
func batches(missing []release.Missing, from map[release.Hash]source) ([][]piece, error) {
	var all []piece
	for _, m := range missing {
		s, known := from[m.Hash]
		if !known || m.Have < 0 || m.Have > s.size {
			return nil, errors.New("the box asks for what this site has not: its version may be another one")
		}
		all = append(all, piece{release.Content{Hash: m.Hash, Size: s.size, From: m.Have}, s})
	}
	slices.SortStableFunc(all, func(a, b piece) int { return cmp.Compare(b.left(), a.left()) })
	var requests [][]piece
	var now []piece
	var bytes int64
	for _, p := range all {
		if len(now) > 0 && (bytes+p.left() > batchBytes || len(now) == batchFiles) {
			requests, now, bytes = append(requests, now), nil, 0
		}
		now, bytes = append(now, p), bytes+p.left()
	}
	if len(now) > 0 {
		requests = append(requests, now)
	}
	return requests, nil
}

// sendAll sends what is missing once, several requests at a time. An error that may pass does not keep those that have begun
// from going on. It returns from where on the contents were sent that were cut, if much of them had left.
func (p *Publisher) sendAll(ctx context.Context, missing []release.Missing, from map[release.Hash]source) (map[release.Hash]int64, error) {
	requests, err := batches(missing, from)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var mu sync.Mutex
	var passed error
	cut := map[release.Hash]int64{}
	for _, pieces := range requests {
		mu.Lock()
		hopeless := passed != nil
		mu.Unlock()
		if hopeless {
			break
		}
		group.Go(func() error {
			b := &batch{pieces: pieces, sent: p.Progress.add}
			err := p.Box.send(ctx, b)
			if err == nil || !passing(err) || ctx.Err() != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			passed = err
			if last, sent := b.where(); last != nil && sent > onTheWay {
				cut[last.Hash] = last.From
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return cut, passed
}

// The box notices within noticeTime that a connection is gone, and knows only then what of a content has arrived.
const (
	noticeTime = 35 * time.Second
	onTheWay   = 8 << 20 // bytes that may have left and not have arrived
)

// noticed tells whether the box has seen the end of the connections that were cut: more of what they carried is there.
func noticed(missing []release.Missing, cut map[release.Hash]int64) bool {
	for _, m := range missing {
		if from, is := cut[m.Hash]; is && m.Have <= from {
			return false
		}
	}
	return true
}
