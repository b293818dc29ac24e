package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/process"
)

const (
	young    = 10 * time.Second // how long the accelerator must have run
	loop     = 5 * time.Minute  // in which
	tooOften = 3                // starts are a loop
)

// starts remembers which processes each program had, and since when they were seen.
type starts map[string][]start

type start struct {
	id   process.ID
	seen time.Time
}

// add notes a process, and returns how many there were lately.
func (s *starts) add(program string, id process.ID, now time.Time) int {
	if *s == nil {
		*s = starts{}
	}
	all := (*s)[program]
	if len(all) == 0 || all[len(all)-1].id != id {
		all = append(all, start{id, now})
	}
	// The one that runs is not forgotten, however long it does.
	last := all[len(all)-1]
	all = slices.DeleteFunc(all[:len(all)-1], func(a start) bool { return now.Sub(a.seen) > loop })
	(*s)[program] = append(all, last)
	return len(all) + 1
}

// accelerator: the kernel says which process has the admin socket and since when it runs; the clock of the box may jump.
func (l *look) accelerator() (State, string) {
	id, err := process.OfSocket(l.Socket)
	if err != nil {
		return Failed, fmt.Sprintf("nobody has its admin socket: %v", cause(err))
	}
	age, err := id.Age()
	if err != nil {
		return Unknown, err.Error()
	}
	l.startsMu.Lock()
	n := l.starts.add("", id, l.now)
	l.startsMu.Unlock()
	text := fmt.Sprintf("process %d runs for %v", id.PID, age.Round(time.Second))
	switch {
	case n >= tooOften:
		return Failed, fmt.Sprintf("%s, the %d. in %v", text, n, loop)
	case age < young:
		return Failed, fmt.Sprintf("%s, less than %v", text, young)
	}
	return OK, text
}

// service is one that gokrazy looks after.
type service struct {
	Stopped bool
	Pid     int
	Path    string
}

// askGokrazy lists them.
func (t *Tree) askGokrazy(ctx context.Context) ([]service, error) {
	if t.Gokrazy == "" {
		return nil, os.ErrNotExist
	}
	text, err := get(ctx, t.Gokrazy, "/", 3*time.Second)
	if err != nil {
		return nil, err
	}
	var all struct{ Services []service }
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("its answer is something else: %w", err)
	}
	return all.Services, nil
}

// Stopped tells whether somebody has stopped a program on purpose.
func (t *Tree) Stopped(ctx context.Context, path string) bool {
	all, _ := t.askGokrazy(ctx)
	return slices.ContainsFunc(all, func(s service) bool { return s.Path == path && s.Stopped })
}

// services: gokrazy knows them all.
func (l *look) services() (State, string) {
	all, err := l.askGokrazy(l.ctx)
	if errors.Is(err, os.ErrNotExist) {
		return Unknown, "there is no gokrazy to ask"
	} else if err != nil {
		return Unknown, fmt.Sprintf("gokrazy does not answer: %v", err)
	}
	var bad, good []string
	for _, s := range all {
		name := filepath.Base(s.Path)
		if s.Stopped || s.Pid == 0 || name == l.Program || l.Program == "" && name == "accelerator" {
			continue // On purpose, done or between two starts; or it has a check of its own.
		}
		id, err := process.Find(s.Pid)
		if err != nil {
			continue // It has just ended. The next look shows its successor.
		}
		l.startsMu.Lock()
		n := l.starts.add(s.Path, id, l.now)
		l.startsMu.Unlock()
		if n >= tooOften {
			bad = append(bad, name+" was started "+strconv.Itoa(n)+" times")
		} else {
			good = append(good, name)
		}
	}
	if len(bad) > 0 {
		return Failed, strings.Join(bad, "; ") + " in " + loop.String()
	}
	return OK, strings.Join(good, " ")
}
