// Package logs keeps what the programs on the box and its kernel say, across reboots: gokrazy has the last 100 lines of each
// in memory, and nothing after a power cut. Each has a file NAME.log (its standard error) and perhaps NAME.out.log (its
// standard output), which is ended at a size and kept as NAME.log.1 and so on, so that all of them together are bounded.
//
// It is made for SD cards. Lines are collected, and written and synced every 20 seconds; those that tell of an error are
// written at once, at most every 5 seconds. A power cut takes what has not been written: see package recorder for the last
// seconds. More than 200 KiB a minute, of all together, is left out, and the file says how many lines that were.
package logs

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The bounds. What is kept on the disk is at most, for each stream of each program, fileBytes times (kept + 1).
const (
	fileBytes    = 512 << 10
	kept         = 3         // files that were ended
	pendingBytes = 64 << 10  // of one stream, while the disk does not take them; the oldest go
	perMinute    = 200 << 10 // bytes of all lines
	burst        = 256 << 10 // once: what a kernel has to say at its start
	lineBytes    = 4 << 10   // the rest of a longer one is cut off
	reserve      = 32 << 20  // bytes that have to be free on the disk: updates need them more
)

// Keeper is the task. The zero values of times are for the box.
type Keeper struct {
	Dir     string // of the files
	Gokrazy string // its Unix socket
	Kernel  string // /dev/kmsg; empty: none
	Boot    string // what is different each time the machine is started
	// Wait returns when the box has time for this; nil: at once.
	Wait func(ctx context.Context)
	// Heard, if there is one, gets each line as it comes. It must not block.
	Heard func(from, line string)
	Log   *slog.Logger // nil means slog.Default()

	Every   time.Duration // between writes; 0: 20 s
	Urgent  time.Duration // between writes because of errors; 0: 5 s
	Quiet   time.Duration // that ends what gokrazy has to say of the past; 0: 300 ms
	Linger  time.Duration // for the last words of the others, when this program is to end; 0: 1 s
	Reserve uint64        // bytes to leave free; 0: 32 MiB

	bucket *rate.Limiter
	hurry  chan struct{} // has a value if there is an error to write

	mu      sync.Mutex
	streams []*stream // guarded by mu; it only grows
	trouble error     // guarded by mu: why the files cannot be written
}

// String names the task.
func (k *Keeper) String() string { return "logs" }

// Run keeps the logs until ctx ends. A disk that takes nothing, or a gokrazy that does not answer, is no reason to end.
func (k *Keeper) Run(ctx context.Context) error {
	k.Log = cmp.Or(k.Log, slog.Default())
	k.Every, k.Urgent, k.Quiet = cmp.Or(k.Every, 20*time.Second), cmp.Or(k.Urgent, 5*time.Second), cmp.Or(k.Quiet, 300*time.Millisecond)
	k.Linger, k.Reserve = cmp.Or(k.Linger, time.Second), cmp.Or(k.Reserve, reserve)
	k.bucket, k.hurry = rate.NewLimiter(rate.Every(time.Minute/perMinute), burst), make(chan struct{}, 1)
	if k.Wait != nil {
		k.Wait(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	longer, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	context.AfterFunc(ctx, func() { time.AfterFunc(k.Linger, end) })
	var followers sync.WaitGroup
	if k.Kernel != "" {
		s := k.stream("kernel", isKernelError)
		followers.Go(func() { k.follow(longer, s, kernel(k.Kernel)) })
	}
	followers.Go(func() { k.programs(longer, &followers) })
	k.writer(ctx)
	followers.Wait()
	k.write(true)
	return nil
}

// writer writes now and then, sooner if there is an error to tell.
func (k *Keeper) writer(ctx context.Context) {
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.hurry:
		}
		k.write(true)
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.Urgent):
		}
	}
}

// programs follows each program that gokrazy has. They do not change while it runs, but it may not be there yet.
func (k *Keeper) programs(ctx context.Context, followers *sync.WaitGroup) {
	known, taken := map[string]bool{}, map[string]bool{"kernel": true}
	for ctx.Err() == nil {
		all, err := services(ctx, k.Gokrazy)
		pause := time.Minute
		if err != nil {
			k.Log.Debug("gokrazy does not tell what it runs", "err", err)
			pause = 5 * time.Second
		}
		for _, path := range all {
			if known[path] {
				continue
			}
			name := filepath.Base(path)
			if taken[name] {
				name = strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
			}
			known[path], taken[name] = true, true
			for of, ending := range map[string]string{"stderr": "", "stdout": ".out"} {
				s := k.stream(name+ending, isError)
				followers.Go(func() { k.follow(ctx, s, program(k.Gokrazy, path, of)) })
			}
		}
		sleep(ctx, pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (k *Keeper) stream(name string, urgent func(string) bool) *stream {
	s := &stream{name: name, urgent: urgent, file: newFile(k.Dir, name, k.Boot)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.streams = append(k.streams, s)
	return s
}

// all returns the streams there are, in the order of their names.
func (k *Keeper) all() []*stream {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Clone(k.streams)
	slices.SortFunc(all, func(a, b *stream) int { return cmp.Compare(a.name, b.name) })
	return all
}

// heard takes a line.
func (k *Keeper) heard(s *stream, line string) {
	if k.Heard != nil {
		k.Heard(s.name, line)
	}
	if s.add(line, k.bucket.AllowN(time.Now(), len(line)+1)) || s.urgent(line) {
		select {
		case k.hurry <- struct{}{}:
		default:
		}
	}
}

// write has the lines written, and synced if that is wanted. Trouble is said once, for what is said comes back as a line.
func (k *Keeper) write(sync bool) {
	trouble := roomLeft(k.Dir, k.Reserve)
	for _, s := range k.all() {
		if trouble == nil {
			trouble = s.write(sync)
		}
	}
	k.mu.Lock()
	before := k.trouble
	k.trouble = trouble
	k.mu.Unlock()
	switch {
	case trouble == nil && before != nil:
		k.Log.Info("the logs are kept again")
	case trouble != nil && before == nil:
		k.Log.Warn("the logs are not kept for now", "err", trouble)
	}
}
