package qemu

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Line is one line of the serial console and when its end arrived here, on the
// host's monotonic clock.
type Line struct {
	At   time.Time
	Text string
}

// Serial collects what a machine prints on its serial console. It is an
// io.Writer for the machine's side; every method may be called at any time.
type Serial struct {
	mu      sync.Mutex
	lines   []Line
	partial []byte
	grown   chan struct{} // closed and replaced when a line arrives
}

// Write implements io.Writer and never fails.
func (s *Serial) Write(p []byte) (int, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, p...)
	for {
		line, rest, found := bytes.Cut(s.partial, []byte{'\n'})
		if !found {
			return len(p), nil
		}
		s.lines = append(s.lines, Line{At: now, Text: strings.TrimRight(string(line), "\r")})
		s.partial = append([]byte(nil), rest...)
		if s.grown != nil {
			close(s.grown)
			s.grown = nil
		}
	}
}

// Lines returns a copy of all lines so far.
func (s *Serial) Lines() []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Line(nil), s.lines...)
}

// Find returns the n-th line (0 is the first) that matches, with its
// submatches.
func (s *Serial) Find(pattern *regexp.Regexp, n int) (Line, []string, bool) {
	for _, l := range s.Lines() {
		if m := pattern.FindStringSubmatch(l.Text); m != nil {
			if n == 0 {
				return l, m, true
			}
			n--
		}
	}
	return Line{}, nil, false
}

// Count returns how many lines match.
func (s *Serial) Count(pattern *regexp.Regexp) int {
	n := 0
	for _, l := range s.Lines() {
		if pattern.MatchString(l.Text) {
			n++
		}
	}
	return n
}

// Wait waits until the n-th line that matches has arrived.
func (s *Serial) Wait(ctx context.Context, pattern *regexp.Regexp, n int) (Line, []string, error) {
	for {
		s.mu.Lock()
		if s.grown == nil {
			s.grown = make(chan struct{})
		}
		grown := s.grown
		s.mu.Unlock()
		if l, m, ok := s.Find(pattern, n); ok {
			return l, m, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return Line{}, nil, fmt.Errorf("no line %d like %q on the serial console: %w", n, pattern, ctx.Err())
		}
	}
}

// Text returns everything printed since start, each line with its time in
// seconds after start.
func (s *Serial) Text(start time.Time) string {
	var b strings.Builder
	for _, l := range s.Lines() {
		fmt.Fprintf(&b, "%8.3f %s\n", l.At.Sub(start).Seconds(), l.Text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.partial) > 0 {
		fmt.Fprintf(&b, "         %s\n", s.partial)
	}
	return b.String()
}
