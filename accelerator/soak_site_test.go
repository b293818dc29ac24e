package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/andybalholm/brotli"
)

// changingSite is a site of releases that is rewritten while it is served. Each
// file says in each of its lines which edition of which file it is, so that a
// mixture of two cannot go unseen, not even in a part of it.
type changingSite struct {
	dir   string
	grace time.Duration // how long an edition may be served after the next one came

	number int // of the last release or edition
	live   string

	mu       sync.Mutex
	editions map[string][]edition // guarded by mu: by path, the last one is on disk
}

// edition is one state of one file.
type edition struct {
	number  int
	body    []byte
	retired time.Time // zero: not yet
}

// The files of the site. The one of a single page changes within a release, too.
var changingFiles = map[string]int{
	"/index.html": 5 * lineLength,
	"/page.html":  100 * lineLength, // with siblings
	"/middle.txt": 700 * lineLength, // in memory, not copied
	"/large.txt":  50_000 * lineLength,
	"/news.txt":   30 * lineLength,
}

const (
	lineLength = 64
	// releasesKept is how many releases stay on disk.
	releasesKept = 3
)

// editionBody is what a file says.
func editionBody(path string, number, size int) []byte {
	body := make([]byte, 0, size)
	for line := 0; len(body) < size; line++ {
		at := len(body)
		body = fmt.Appendf(body, "edition %08d of %s, line %d ", number, path, line)
		body = append(body, "................................................................"[:lineLength-1-(len(body)-at)]...)
		body = append(body, '\n')
	}
	return body
}

// editionNumber reads the number from a whole line.
func editionNumber(line []byte) (int, error) {
	digits, ok := bytes.CutPrefix(line, []byte("edition "))
	if !ok || len(digits) < 8 {
		return 0, fmt.Errorf("%.80q is no line of the site", line)
	}
	return strconv.Atoi(string(digits[:8]))
}

// newChangingSite makes the first release.
func newChangingSite(dir string, grace time.Duration) (*changingSite, error) {
	s := &changingSite{dir: dir, grace: grace, editions: map[string][]edition{}}
	return s, s.flip()
}

// change flips to a new release, or replaces one file of the one that is live.
func (s *changingSite) change() error {
	if s.number%3 == 0 {
		return s.flip()
	}
	return s.replace()
}

// flip makes a new release and has the link current name it.
func (s *changingSite) flip() error {
	s.number++
	s.live = fmt.Sprintf("releases/%d", s.number)
	for path, size := range changingFiles {
		body := editionBody(path, s.number, size)
		s.publish(path, body)
		if err := s.write(filepath.Join(s.live, path), body); err != nil {
			return err
		}
		if path == "/page.html" {
			if err := s.writeSiblings(filepath.Join(s.live, path), body); err != nil {
				return err
			}
		}
	}
	link := filepath.Join(s.dir, "next")
	if err := errors.Join(os.Symlink(s.live, link), os.Rename(link, filepath.Join(s.dir, "current"))); err != nil {
		return err
	}
	for path := range changingFiles {
		s.retire(path)
	}
	names, err := filepath.Glob(filepath.Join(s.dir, "releases/*"))
	for _, name := range names {
		if n, _ := strconv.Atoi(filepath.Base(name)); n <= s.number-3*releasesKept { // Of three changes one is a flip.
			err = errors.Join(err, os.RemoveAll(name))
		}
	}
	return err
}

// replace replaces a file of the live release by renaming.
func (s *changingSite) replace() error {
	const path = "/news.txt"
	s.number++
	body := editionBody(path, s.number, changingFiles[path])
	s.publish(path, body)
	if err := s.write("new", body); err != nil {
		return err
	}
	defer s.retire(path)
	return os.Rename(filepath.Join(s.dir, "new"), filepath.Join(s.dir, s.live, path))
}

// writeSiblings writes the precompressed forms.
func (s *changingSite) writeSiblings(name string, body []byte) error {
	for suffix, compress := range map[string]func(io.Writer) io.WriteCloser{
		".gz": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		".br": func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	} {
		var packed bytes.Buffer
		w := compress(&packed)
		_, err := w.Write(body)
		if err = errors.Join(err, w.Close(), s.write(name+suffix, packed.Bytes())); err != nil {
			return err
		}
	}
	return nil
}

func (s *changingSite) write(name string, body []byte) error {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, body, 0o644), os.Chmod(path, 0o644)) // Whatever the umask.
}

// publish says that an edition is about to be on disk.
func (s *changingSite) publish(path string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.editions[path] = append(s.editions[path], edition{number: s.number, body: body})
}

// retire says that the last edition is, and forgets those that nobody may be
// sent any more.
func (s *changingSite) retire(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.editions[path]
	all[max(len(all)-2, 0)].retired = time.Now()
	if len(all) == 1 {
		all[0].retired = time.Time{}
	}
	for len(all) > 2 && time.Since(all[0].retired) > s.grace+2*patience {
		all[0] = edition{} // Its body is not to be kept by the array.
		all = all[1:]
	}
	s.editions[path] = all
}

// last returns the number of the edition that is on disk.
func (s *changingSite) last(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.editions[path]
	return all[len(all)-1].number
}

// find returns the edition that a line belongs to, if it may answer a request
// made at that time.
func (s *changingSite) find(path string, line []byte, asked time.Time) (edition, error) {
	number, err := editionNumber(line)
	if err != nil {
		return edition{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.editions[path] {
		if e.number != number {
			continue
		}
		if !e.retired.IsZero() && asked.Sub(e.retired) > s.grace {
			return e, fmt.Errorf("%s: edition %d was replaced %v before the request", path, number, asked.Sub(e.retired))
		}
		return e, nil
	}
	return edition{}, fmt.Errorf("%s: there is no edition %d of late", path, number)
}

// check compares a whole body with the edition that it says it is.
func (s *changingSite) check(path string, body []byte, asked time.Time) error {
	e, err := s.find(path, body, asked)
	if err != nil {
		return err
	}
	return e.compare(path, body, 0)
}

// checkPart does so with the bytes from an offset on.
func (s *changingSite) checkPart(path string, part []byte, at int, asked time.Time) error {
	skip := (lineLength - at%lineLength) % lineLength
	if len(part) < skip+lineLength {
		return fmt.Errorf("%s: %d bytes at %d are too few to tell", path, len(part), at)
	}
	e, err := s.find(path, part[skip:], asked)
	if err != nil {
		return err
	}
	if at+len(part) > len(e.body) {
		return fmt.Errorf("%s: %d bytes at %d of %d", path, len(part), at, len(e.body))
	}
	e.body = e.body[at : at+len(part)]
	return e.compare(path, part, at)
}

func (e edition) compare(path string, got []byte, at int) error {
	if bytes.Equal(got, e.body) {
		return nil
	}
	i := 0
	for i < min(len(got), len(e.body)) && got[i] == e.body[i] {
		i++
	}
	from := i - i%lineLength
	return fmt.Errorf("%s: %d bytes at %d begin as edition %d, which has %d, and differ at byte %d: %.200q",
		path, len(got), at, e.number, len(e.body), i, got[from:])
}

// unpack undoes a Content-Encoding.
func unpack(a *answer) ([]byte, error) {
	codings := a.values("Content-Encoding")
	if len(codings) == 0 {
		return a.body, nil
	}
	switch codings[0] {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(a.body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "br":
		return io.ReadAll(brotli.NewReader(bytes.NewReader(a.body)))
	}
	return nil, fmt.Errorf("Content-Encoding %q", codings)
}
