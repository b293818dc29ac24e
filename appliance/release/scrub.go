package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// scrubName is what the last scrub of this disk has found.
const scrubName = ".ramjet/scrub.json"

// Scrubbed is what a scrub has found: all contents were read, and compared with their hashes.
type Scrubbed struct {
	Time     time.Time `json:"time"` // when it ended
	Contents int       `json:"contents"`
	Bytes    int64     `json:"bytes"`
	Rotten   []Rotten  `json:"rotten,omitempty"`
}

// Rotten is a content that is not what it was. It has lost its name: whoever publishes it again sends it.
type Rotten struct {
	Hash  Hash     `json:"hash"`
	Files []string `json:"files"` // that are wrong now: release/path, some of them
	Why   string   `json:"why"`
}

// shownFiles bounds them.
const shownFiles = 20

// LastScrub is what the last one has found, nothing if there was none.
func (s *Store) LastScrub() (*Scrubbed, error) {
	h, err := s.look()
	if err != nil {
		return nil, err
	}
	defer h.close()
	text, err := h.root.ReadFile(scrubName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var last Scrubbed
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	return &last, err
}

// Scrub reads all contents from the disk, at most so many bytes a second and only while nobody else reads or writes, and
// looks for those that have changed by themselves. A disk that is pulled meanwhile ends it; it is not in the disk's way.
func (s *Store) Scrub(ctx context.Context, perSecond int) (Scrubbed, error) {
	var found Scrubbed
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // It ends with its thread, whose priority nobody else is to have.
		const process, idle = 1, 3 << 13
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, process, 0, idle) // ioprio_set(2); not all schedulers heed it
		limit := rate.NewLimiter(rate.Limit(perSecond), scrubPiece)
		var err error
		for first := 0; first < 256 && err == nil; first++ {
			err = s.scrubSome(ctx, byte(first), limit, &found)
		}
		ended <- err
	}()
	if err := <-ended; err != nil || found.Contents == 0 { // Nothing was ever published here.
		return found, err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	h, err := s.open()
	if err != nil {
		return found, err
	}
	defer h.close()
	found.Time = s.now().UTC().Truncate(time.Second)
	text, err := json.MarshalIndent(found, "", "  ")
	if err == nil {
		err = renameio.WriteFile(scrubName, append(text, '\n'), 0o600, renameio.WithRoot(h.root))
	}
	return found, err
}

// scrubPiece is how much is read at once, in bytes.
const scrubPiece = 256 << 10

// scrubSome reads the blobs whose hashes begin with a byte.
func (s *Store) scrubSome(ctx context.Context, first byte, limit *rate.Limiter, found *Scrubbed) error {
	h, err := s.look()
	if err != nil {
		return err
	}
	defer h.close()
	names, err := readDir(h, fmt.Sprintf("%s/%02x", blobsName, first))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		want, err := ParseHash(name)
		if err != nil {
			continue // None of ours.
		}
		got, n, err := slowHash(ctx, h, fmt.Sprintf("%s/%02x/%s", blobsName, first, name), limit)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist): // Its last release has just gone.
			continue
		case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ESHUTDOWN):
			return err // The disk has.
		}
		found.Contents++
		found.Bytes += n
		if err == nil && got == want {
			continue
		}
		why := "its bytes are others"
		if err != nil {
			why = err.Error()
		}
		rotten, err := s.rot(want, why)
		if err != nil {
			return err
		}
		found.Rotten = append(found.Rotten, rotten)
	}
	return nil
}

// slowHash reads a file from the disk, not from the kernel's memory, and leaves it there no longer.
func slowHash(ctx context.Context, h *shelf, name string, limit *rate.Limiter) (Hash, int64, error) {
	f, err := h.root.Open(name)
	if err != nil {
		return Hash{}, 0, err
	}
	defer f.Close()
	forget := func() { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
	forget()
	defer forget()
	slow := &limited{ctx: ctx, from: f, limit: limit}
	hash, err := hashOf(slow)
	return hash, slow.n, err
}

// limited reads as fast as a limit lets it.
type limited struct {
	ctx   context.Context
	from  *os.File
	limit *rate.Limiter
	n     int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.from.Read(p[:min(len(p), scrubPiece)])
	l.n += int64(n)
	if wait := l.limit.WaitN(l.ctx, n); wait != nil && err == nil {
		err = wait
	}
	return n, err
}

// rot takes the name of a content away, so that it is sent when it is published again, and says which files have it.
func (s *Store) rot(hash Hash, why string) (Rotten, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	r := Rotten{Hash: hash, Why: why}
	h, err := s.open()
	if err != nil {
		return r, err
	}
	defer h.close()
	all, err := s.list(h)
	if err != nil {
		return r, err
	}
	slices.Reverse(all) // The newest are of most interest.
	for _, of := range all {
		m, err := manifest(h, of.ID)
		if err != nil {
			continue
		}
		for _, e := range m {
			if e.Hash == hash && len(r.Files) < shownFiles {
				r.Files = append(r.Files, of.ID+"/"+e.Path)
			}
		}
	}
	s.log().Error("a file has changed on the disk by itself: publish the site again, and look after the disk", "files", r.Files, "sha256", hash, "why", why)
	dir, err := h.blobDir(hash[0], false)
	if dir == nil || err != nil {
		return r, err
	}
	return r, remove(dir, hash.String())
}
