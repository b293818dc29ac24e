package content

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher knows which directories must be watched to notice a change: every
// directory of a tree that is the site, or only those that hold the links that
// decide which tree is.
type watcher struct {
	fs *fsnotify.Watcher

	mu      sync.Mutex
	watched map[string]string // directory -> the one name in it that matters, "" for all
	seen    map[string]bool   // directories of the load that is going on
	partial error             // why not everything can be watched
}

// begin starts a load of root. The name of the root is watched in its parent: it
// may be a link that changes, or be made anew.
func (w *watcher) begin(root string) {
	w.mu.Lock()
	w.seen, w.partial = map[string]bool{}, nil
	w.mu.Unlock()
	w.add(filepath.Dir(root), filepath.Base(root))
}

// at tells where the load found the site. A release changes by its link alone;
// what is written inside it is nobody's business until then.
func (w *watcher) at(p place) (visit func(name string)) {
	if p.release != "" {
		w.add(p.root, currentLink)
		return nil
	}
	return func(name string) { w.add(filepath.Join(p.dir, name), "") }
}

// end forgets the directories that the load did not meet, and reports whether
// there were any. inotify(7) watches inodes, not names: of a directory that was
// renamed every event would come under its old name, so the watching has to
// begin anew.
func (w *watcher) end() (stale bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir := range w.watched {
		if !w.seen[dir] {
			delete(w.watched, dir)
			stale = true
		}
	}
	return stale
}

// renew watches the same directories afresh. What changes meanwhile goes
// unnoticed, so a load has to follow.
func (w *watcher) renew() error {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir := range w.watched {
		if err := fs.Add(dir); err != nil {
			w.partial = err
		}
	}
	old := w.fs
	w.fs = fs
	return old.Close()
}

func (w *watcher) add(dir, only string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if previous, ok := w.watched[dir]; ok && w.seen[dir] && previous == "" {
		return
	}
	w.seen[dir] = true
	w.watched[dir] = only
	// Adding again is cheap, and a directory that was replaced by another of
	// its name needs it.
	if err := w.fs.Add(dir); err != nil {
		delete(w.watched, dir)
		w.partial = err
	}
}

// matters tells whether an event is about the content.
func (w *watcher) matters(e fsnotify.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.watched[e.Name]; ok {
		return true
	}
	only, ok := w.watched[filepath.Dir(e.Name)]
	return ok && (only == "" || only == filepath.Base(e.Name))
}

// String names the task.
func (s *Store) String() string { return "content store" }

// Times that bound how often a tree is read.
const (
	pollEvery  = 5 * time.Second // where the kernel cannot tell us of changes
	retryEvery = 5 * time.Second // while the tree cannot be read
)

// Watch begins to note changes. A Load after it misses none that Run would have
// to look for.
func (s *Store) Watch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watcher != nil {
		return nil
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	s.watcher = &watcher{fs: fs, watched: map[string]string{}}
	return nil
}

// Run follows the tree until ctx ends: each change leads to a load when the tree
// has been quiet for Settle, and at the latest after twice that.
func (s *Store) Run(ctx context.Context) error {
	if err := s.Watch(); err != nil {
		return err
	}
	s.mu.Lock()
	w, settle, whole := s.watcher, s.options.Settle, s.whole
	s.mu.Unlock()
	defer func() { w.fs.Close() }()

	p := pacer{settle: settle}
	if !whole {
		p.next = time.Now() // The first load under watch.
	}
	timer := time.NewTimer(p.wait(time.Now()))
	defer timer.Stop()
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.fs.Events:
			if w.matters(e) {
				p.changed(time.Now())
			}
		case err := <-w.fs.Errors:
			s.Log.Debug("file system events were lost, reading again", "err", err)
			p.changed(time.Now())
		case <-clock.C:
			if !s.Snapshot().clock && ClockPlausible(s.now()) {
				p.changed(time.Now())
			}
		case <-timer.C:
			settle = s.follow(ctx, &p)
		}
		p.settle = settle
		timer.Reset(p.wait(time.Now()))
	}
}

// follow loads and plans the next load. It returns the settling time in force.
func (s *Store) follow(ctx context.Context, p *pacer) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	started := time.Now()
	err := s.load(ctx, withBodies, false)
	took := time.Since(started)
	p.loaded(time.Now(), took)
	if err == nil && s.watcher.end() {
		err = s.watcher.renew()
		p.changed(time.Now())
	}
	if s.watcher.partial != nil {
		p.at(time.Now().Add(max(pollEvery, 10*took)))
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.logOnce(slog.LevelWarn, "the content cannot be read, the last good state stays", err)
		p.at(time.Now().Add(retryEvery))
	case s.Snapshot().Unsettled > 0:
		p.at(time.Now().Add(s.options.Settle))
		fallthrough
	default:
		s.logOnce(slog.LevelWarn, "not every directory can be watched, reading all of them every few seconds", s.watcher.partial)
	}
	return s.options.Settle
}

// logOnce logs an error unless it was the last one logged; nil ends the series.
func (s *Store) logOnce(level slog.Level, message string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != s.failed && text != "" {
		s.Log.Log(context.Background(), level, message, "root", s.options.Root, "err", err)
	}
	s.failed = text
}

// pacer decides when to load: not while the tree is busy, not much later, and
// not so often that loading is all the machine does.
type pacer struct {
	settle  time.Duration
	first   time.Time // first change that is not loaded yet, zero if none
	next    time.Time // when to load, zero for never
	resting time.Time // not before
}

func (p *pacer) changed(now time.Time) {
	if p.first.IsZero() {
		p.first = now
	}
	p.next = now.Add(p.settle)
	if latest := p.first.Add(2 * p.settle); p.next.After(latest) {
		p.next = latest
	}
}

func (p *pacer) loaded(now time.Time, took time.Duration) {
	p.first, p.next = time.Time{}, time.Time{}
	p.resting = now.Add(2 * took)
}

// at asks for a load at t unless one is due before.
func (p *pacer) at(t time.Time) {
	if p.next.IsZero() || t.Before(p.next) {
		p.next = t
	}
}

func (p *pacer) wait(now time.Time) time.Duration {
	if p.next.IsZero() {
		return time.Hour
	}
	due := p.next
	if due.Before(p.resting) {
		due = p.resting
	}
	return max(due.Sub(now), 0)
}
