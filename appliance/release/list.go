package release

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// ErrNone is the answer to a name that no release has.
var ErrNone = errors.New("there is no such release")

// The numbers of releases that can be kept, the live one among them, and the one without another wish.
const (
	LeastKept   = 1
	MostKept    = 1000
	DefaultKept = 10
)

// Previous is what Flip takes for the release before the live one.
const Previous = "previous"

// List returns the releases, the oldest first; those made by hand stand before all others.
func (s *Store) List() ([]Release, error) {
	h, err := s.look()
	if err != nil {
		return nil, err
	}
	defer h.close()
	return s.list(h)
}

func (s *Store) list(h *shelf) ([]Release, error) {
	all := []Release{}
	names, err := readDir(h, releasesName)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	} else if err != nil {
		return nil, err
	}
	live, _ := h.root.Readlink(currentName)
	for _, name := range names {
		if info, err := h.root.Lstat(releasesName + "/" + name); err != nil || !info.IsDir() {
			continue
		}
		r, err := describe(h, name)
		if err != nil {
			return nil, err
		}
		r.Live = path.Clean(live) == releasesName+"/"+name
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Release) int {
		x, _ := number(a.ID)
		y, _ := number(b.ID)
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// describe reads what was written at the commit of a release. One that was made by hand has its name alone.
func describe(h *shelf, id string) (Release, error) {
	r := Release{ID: id}
	text, err := h.root.ReadFile(manifestsName + "/" + id + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("release %s: %w", id, err)
	}
	r.ID, r.Live, r.Trouble = id, false, ""
	return r, nil
}

// Flip makes another release the live one. It is that already: nothing changes, but the accelerator is told once more.
func (s *Store) Flip(ctx context.Context, id, by string) (Release, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	h, err := s.open()
	if err != nil {
		return Release{}, err
	}
	defer h.close()
	all, err := s.list(h)
	if err != nil {
		return Release{}, err
	}
	i := slices.IndexFunc(all, func(r Release) bool { return r.ID == id })
	if id == Previous {
		i = slices.IndexFunc(all, func(r Release) bool { return r.Live }) - 1
	}
	if i < 0 {
		return Release{}, ErrNone
	}
	s.log().Info("flip", "to", all[i].ID, "by", by)
	return s.flip(ctx, h, all[i])
}

// Kept is how many releases are kept.
func (s *Store) Kept() (int, error) {
	h, err := s.look()
	if err != nil {
		return 0, err
	}
	defer h.close()
	return kept(h)
}

func kept(h *shelf) (int, error) {
	text, err := h.root.ReadFile(keepName)
	if errors.Is(err, fs.ErrNotExist) {
		return DefaultKept, nil
	} else if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < LeastKept || n > MostKept {
		return DefaultKept, nil
	}
	return n, nil
}

// Keep sets how many releases are kept, and removes those that are too many at once: the oldest ones, never the live one,
// and none that was made by hand.
func (s *Store) Keep(n int) error {
	if n < LeastKept || n > MostKept {
		return refusedf("keep %d to %d releases", LeastKept, MostKept)
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	h, err := s.open()
	if err != nil {
		return err
	}
	defer h.close()
	if err := renameio.WriteFile(keepName, fmt.Appendf(nil, "%d\n", n), 0o600, renameio.WithRoot(h.root)); err != nil {
		return err
	}
	return s.prune(h)
}

// prune removes the releases that are too many.
func (s *Store) prune(h *shelf) error {
	n, err := kept(h)
	if err != nil {
		return err
	}
	all, err := s.list(h)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r Release) bool { return r.Manifest == Hash{} })
	for i := 0; i < len(all) && len(all) > n; {
		if all[i].Live {
			i++
			continue
		}
		if err := s.remove(h, all[i]); err != nil {
			return err
		}
		all = slices.Delete(all, i, i+1)
	}
	return s.clearIncoming(h, false)
}

// remove removes a release, and the blobs that it alone had.
func (s *Store) remove(h *shelf, r Release) error {
	m, err := manifest(h, r.ID)
	if err != nil { // Its blobs are removed at the next start.
		s.log().Warn("a release without its manifest is removed", "id", r.ID, "err", err)
	}
	gone := "gone-" + r.ID
	if err := h.root.RemoveAll(incomingName + "/" + gone); err != nil {
		return err
	}
	if err := rename(h.releases, r.ID, h.incoming, gone); err != nil {
		return err
	}
	if err := h.root.RemoveAll(incomingName + "/" + gone); err != nil {
		return err
	}
	for e := range m.contents {
		if err := removeUnused(h, e.Hash[0], e.Hash.String()); err != nil {
			return err
		}
	}
	for _, end := range []string{".json", ".manifest", assetListEnd} {
		if err := h.root.Remove(manifestsName + "/" + r.ID + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.log().Info("release removed", "id", r.ID)
	return h.top.Sync()
}

func manifest(h *shelf, id string) (Manifest, error) {
	text, err := h.root.ReadFile(manifestsName + "/" + id + ".manifest")
	if err != nil {
		return nil, err
	}
	return ParseManifest(bytes.NewReader(text))
}

// Verify reads a release that was published, and says which files are not what they were.
func (s *Store) Verify(ctx context.Context, id string) (broken []string, err error) {
	h, err := s.look()
	if err != nil {
		return nil, err
	}
	defer h.close()
	if strings.Contains(id, "/") {
		return nil, ErrNone
	}
	m, err := manifest(h, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	} else if err != nil {
		return nil, err
	}
	for _, e := range m {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := hashFile(h, releasesName+"/"+id+"/"+e.Path)
		if err != nil || got != e.Hash {
			broken = append(broken, e.Path)
		}
	}
	return broken, nil
}

func hashFile(h *shelf, name string) (Hash, error) {
	f, err := h.root.Open(name)
	if err != nil {
		return Hash{}, err
	}
	defer f.Close()
	return hashOf(f)
}

func hashOf(r io.Reader) (Hash, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	return Hash(sum.Sum(nil)), err
}
