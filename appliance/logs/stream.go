package logs

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// remembered is how many lines are compared after an interruption. gokrazy repeats at most 100.
const remembered = 100

// stream is the log of one program, or of the kernel.
type stream struct {
	name   string
	urgent func(line string) bool
	last   []string // the latest that were heard, since the machine was started; owned by the follower

	writing sync.Mutex // held while the file is written or read
	file    *file      // guarded by writing

	mu      sync.Mutex
	pending []byte // guarded by mu: whole lines
	left    int    // guarded by mu: lines that were left out since the last one that was not
}

// add takes a line, or counts it if it is one too many. It reports whether the lines should be written soon.
func (s *stream) add(line string, allowed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !allowed {
		s.left++
		return false
	}
	if s.left > 0 {
		s.pending = fmt.Appendf(s.pending, "%s%d lines left out ---\n", markStart, s.left)
		s.left = 0
	}
	s.pending = append(append(s.pending, line...), '\n')
	s.bound()
	return len(s.pending) > pendingBytes/2
}

// bound drops the oldest lines that there is no room for. Called with mu held.
func (s *stream) bound() {
	for len(s.pending) > pendingBytes {
		end := bytes.IndexByte(s.pending, '\n') + 1
		s.pending = s.pending[end:]
		s.left++
	}
}

// write writes what is pending. What the disk does not take stays.
func (s *stream) write(sync bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	text := s.pending
	s.pending = nil
	s.mu.Unlock()
	err := s.file.write(text)
	if err != nil {
		s.mu.Lock()
		s.pending = append(text, s.pending...)
		s.bound()
		s.mu.Unlock()
		return err
	}
	if sync {
		return s.file.sync()
	}
	return nil
}

// source tells lines, the past first, until ctx ends or it cannot go on.
type source func(ctx context.Context, lines chan<- string) error

// follow takes the lines of a source, and asks it again when it ends.
func (k *Keeper) follow(ctx context.Context, s *stream, from source) {
	s.writing.Lock()
	s.last = s.file.lastLines(remembered)
	s.writing.Unlock()
	for pause := time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
		lines := make(chan string, 2*remembered)
		ended := make(chan error, 1)
		go func() {
			ended <- from(ctx, lines)
			close(lines)
		}()
		if k.listen(s, lines) > 0 {
			pause = time.Second
		}
		if err := <-ended; err != nil && ctx.Err() == nil {
			k.Log.Debug("a log has come to its end, asking for it again", "of", s.name, "err", err)
		}
		sleep(ctx, pause)
	}
}

// listen takes lines until there are no more, and returns how many were new. Those of the past that are known are left out.
func (k *Keeper) listen(s *stream, lines <-chan string) (n int) {
	hear := func(line string) {
		s.last = append(s.last, line)
		if len(s.last) > 2*remembered {
			s.last = slices.Clone(s.last[len(s.last)-remembered:])
		}
		k.heard(s, line)
		n++
	}
	for _, line := range fresh(s.last, k.past(lines)) {
		hear(line)
	}
	for line := range lines {
		hear(line)
	}
	return n
}

// past returns the first lines, up to the first silence: they come at once. A program that is never silent has them mixed
// with what it says now; that does no harm.
func (k *Keeper) past(lines <-chan string) []string {
	var past []string
	line, more := <-lines
	for limit := time.After(10 * k.Quiet); more; {
		past = append(past, line)
		select {
		case line, more = <-lines:
		case <-time.After(k.Quiet):
			return past
		case <-limit:
			return past
		}
	}
	return past
}

// fresh returns what of the past is not known. Of known, the end has to be in the past as a whole, or as much of it as the
// past goes back; the later such place counts.
func fresh(known, past []string) []string {
	for p := len(past); p > 0; p-- {
		m := min(p, len(known))
		if m > 0 && slices.Equal(known[len(known)-m:], past[p-m:p]) {
			return past[p:]
		}
	}
	return past
}

// isError tells whether a line of a program is about something that its end may follow.
func isError(line string) bool {
	return strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
}
