package health

import (
	"cmp"
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
	if n := len(all); n == 0 || !same(all[n-1].id, id) {
		all = append(all, start{id, now})
	} else if all[n-1].id.Start == 0 {
		all[n-1].id = id
	}
	// The one that runs is not forgotten, however long it does.
	last := all[len(all)-1]
	all = slices.DeleteFunc(all[:len(all)-1], func(a start) bool { return now.Sub(a.seen) > loop })
	(*s)[program] = append(all, last)
	return len(all) + 1
}

// same compares two processes. Of one that had ended when it was looked at, only the number is known.
func same(a, b process.ID) bool {
	return a.PID == b.PID && (a.Start == b.Start || a.Start == 0 || b.Start == 0)
}

// accelerator: the kernel says which process has the admin socket and since when it runs; the clock of the box may jump.
func (l *look) accelerator() (State, string) {
	id, err := process.OfSocket(l.Socket)
	if err != nil {
		text := fmt.Sprintf("nobody has its admin socket: %v", cause(err))
		if n := l.ended(); n >= tooOften {
			l.looping = true
			text = fmt.Sprintf("it was started %d times in %v; %s", n, loop, text)
		}
		return Failed, text
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
		l.looping = true
		return Failed, fmt.Sprintf("%s, the %d. in %v", text, n, loop)
	case age < young:
		return Failed, fmt.Sprintf("%s, less than %v", text, young)
	}
	return OK, text
}

// ended counts the starts of an accelerator that does not come as far as its admin socket: gokrazy knows its number, even
// if it has ended already.
func (l *look) ended() int {
	all, _ := l.askGokrazy(l.ctx)
	for _, s := range all {
		if !l.isAccelerator(s) || s.Pid == 0 {
			continue
		}
		id, err := process.Find(s.Pid)
		if err != nil {
			id = process.ID{PID: s.Pid}
		}
		l.startsMu.Lock()
		defer l.startsMu.Unlock()
		return l.starts.add("", id, l.now)
	}
	return 0
}

func (t *Tree) isAccelerator(s service) bool {
	return filepath.Base(s.Path) == cmp.Or(t.Program, "accelerator")
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
		if s.Stopped || s.Pid == 0 || l.isAccelerator(s) {
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
