package health

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	probed     = 3         // files
	candidates = 12        // that the accelerator is asked about
	looked     = 1000      // names that are looked at
	largest    = 256 << 10 // bytes
)

// file is one that might be static.
type file struct {
	name string // with slashes, below the root
	size int64
	time time.Time
}

// files returns some files of the site, small ones first. It ends early, however large the site is.
func (l *look) files(n int) []file {
	var all []file
	root, seen := l.root(), 0
	if root == "" {
		return nil
	}
	_ = filepath.WalkDir(root+"/.", func(path string, d fs.DirEntry, err error) error {
		if seen++; seen > looked || l.ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil {
			return nil // A disk that is pulled shows elsewhere.
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." {
			return nil
		}
		if strings.HasPrefix(d.Name(), ".") || name == "ramjet.json" || name == "lost+found" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() <= largest {
			all = append(all, file{filepath.ToSlash(name), info.Size(), info.ModTime()})
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b file) int { return int(a.size - b.size) })
	return all[:min(n, len(all))]
}

// chosen are the files that are probed until another content is loaded: to choose them means to read directories.
type chosen struct {
	loaded time.Time
	root   string
	files  []file
	looked int // at so many
}

// choose returns some files that are static.
func (l *look) choose() *chosen {
	c := &l.chosen
	if loaded := l.status.Content.Loaded; len(c.files) == 0 || !c.loaded.Equal(loaded) || c.root != l.root() {
		*c = chosen{loaded: loaded, root: l.root()}
		for _, f := range l.files(candidates) {
			c.looked++
			if l.static(f) {
				c.files = append(c.files, f)
			}
			if len(c.files) == probed {
				break
			}
		}
	}
	return c
}

// probes compares what the listener answers with the disk.
func (l *look) probes() (State, string) {
	if l.status == nil {
		return l.silent()
	}
	c := l.choose()
	if len(c.files) == 0 {
		return Unknown, fmt.Sprintf("none of %d files below %s is static", c.looked, c.root)
	}
	var same []string
	for _, f := range c.files {
		if err := l.probe(f); errors.Is(err, errChanging) {
			*c = chosen{}
			return Unknown, fmt.Sprintf("/%s: %v", f.name, err)
		} else if err != nil {
			*c = chosen{}
			return Failed, fmt.Sprintf("/%s: %v", f.name, err)
		}
		same = append(same, "/"+f.name)
	}
	return OK, strings.Join(same, " ")
}

func (f file) path() string { return (&url.URL{Path: "/" + f.name}).EscapedPath() }

// static asks the accelerator whether it answers the file itself.
func (l *look) static(f file) bool {
	text, err := get(l.ctx, l.Socket, "/explain?url="+url.QueryEscape(f.path()), time.Second)
	return err == nil && strings.Contains(string(text), "\nstatic, ")
}

// errChanging is a file that is not the one that was loaded.
var errChanging = errors.New("the file changes")

func (l *look) probe(f file) error {
	got, err := l.fetch(f.path())
	if err != nil {
		return err
	}
	body, err := os.ReadFile(filepath.Join(l.root(), filepath.FromSlash(f.name)))
	if err != nil {
		return errChanging // The site is another one by now, or its disk was pulled: that is no fault of what serves.
	}
	if got == sha256.Sum256(body) {
		return nil
	}
	// A change is loaded a moment after it was made.
	now, err := l.askStatus()
	info, err2 := os.Stat(filepath.Join(l.root(), filepath.FromSlash(f.name)))
	if err != nil || err2 != nil || info.ModTime().After(l.status.Content.Loaded) || !now.Content.Loaded.Equal(l.status.Content.Loaded) {
		return errChanging
	}
	return errors.New("other bytes than on the disk")
}

// fetch asks the real listener, as a client would, and returns the hash of what comes.
func (l *look) fetch(path string) (sum [sha256.Size]byte, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.listener()+path, nil)
	if err != nil {
		return sum, err
	}
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "ramjet-health")
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return sum, plain(err)
	}
	defer answer.Body.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(answer.Body, largest+1)); err != nil {
		return sum, plain(err)
	}
	if answer.StatusCode != http.StatusOK {
		return sum, errors.New(answer.Status)
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}
