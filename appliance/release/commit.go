package release

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// MissingError is the answer to a commit of a release whose contents have not all arrived.
type MissingError struct{ All []Missing }

// Error names one of them.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%d contents have not arrived, %s for example", len(e.All), e.All[0].Hash)
}

// Release is what is known of one.
type Release struct {
	ID       string    `json:"id"`
	Live     bool      `json:"live"`
	Created  time.Time `json:"created,omitzero"` // by the clock of the box
	By       string    `json:"by,omitempty"`
	Files    int       `json:"files,omitempty"`
	Bytes    int64     `json:"bytes,omitempty"`   // the sum of its files
	Manifest Hash      `json:"manifest,omitzero"` // SHA-256 of its text; zero: not published, but made by hand
	Trouble  string    `json:"trouble,omitempty"` // the accelerator does not serve it yet: why
}

// How is what a commit does beside making a release.
type How struct {
	By   string // who publishes
	Stay bool   // do not flip: another one stays live
	// Instead, if it is not empty, is the release that has to be live, else the commit is refused (ErrOvertaken); the new
	// one takes its place, and it is removed.
	Instead string
}

// ErrOvertaken is the answer to a commit instead of a release that is not live any more.
var ErrOvertaken = errors.New("another release is live by now")

// Commit makes a release of contents that have arrived, and flips to it. If the live one has the same files it is that one,
// and nothing changes. It returns once the release is on the disk, and Flipped has returned.
func (s *Store) Commit(ctx context.Context, m Manifest, how How) (Release, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	h, err := s.open()
	if err != nil {
		return Release{}, err
	}
	defer h.close()
	return s.commit(ctx, h, m, how)
}

// commit is called with turn held.
func (s *Store) commit(ctx context.Context, h *shelf, m Manifest, how How) (Release, error) {
	h.found = make(map[Hash]*os.File, len(m))
	text := m.Text()
	r := Release{By: how.By, Files: len(m), Bytes: m.size(), Manifest: sha256.Sum256(text), Created: s.now().UTC().Truncate(time.Second)}
	all, err := s.list(h)
	if err != nil {
		return Release{}, err
	}
	var live, last Release
	for _, last = range all {
		if last.Live {
			live = last
		}
	}
	whole, err := s.stored(h, m)
	if err != nil {
		return Release{}, err
	}
	switch {
	case how.Instead != "" && how.Instead != live.ID:
		return Release{}, ErrOvertaken
	case !whole: // It is new, or what the disk has of it was rotten.
	case live.Manifest == r.Manifest:
		return live, nil
	case last.Manifest == r.Manifest && how.Stay:
		return last, nil
	case last.Manifest == r.Manifest:
		return s.flip(ctx, h, last)
	}
	missing, err := s.missing(ctx, h, m)
	if err != nil {
		return Release{}, err
	}
	if len(missing) > 0 {
		return Release{}, &MissingError{missing}
	}
	r.ID = nextID(all, r.Manifest)
	if err := s.build(ctx, h, m, &r, text, live.ID); err != nil || how.Stay {
		return r, err
	}
	r, err = s.flip(ctx, h, r)
	if err != nil || r.Trouble != "" {
		return r, err // With trouble the accelerator may still read an old one: none is removed.
	}
	if how.Instead != "" {
		err = s.remove(h, live)
	}
	if err = errors.Join(err, s.prune(h)); err != nil {
		s.log().Warn("old releases cannot be removed", "err", err)
	}
	return r, nil
}

// stored tells whether all contents are those of releases already.
func (s *Store) stored(h *shelf, m Manifest) (bool, error) {
	for e := range m.contents {
		dir, err := s.where(h, e.Hash, e.Size)
		if err != nil || dir == nil || dir == h.incoming {
			return false, err
		}
	}
	return true, nil
}

// nextID is a number, so that releases have an order whatever the clock says, and the beginning of the manifest's hash.
func nextID(all []Release, manifest Hash) string {
	last := 0
	for _, r := range all {
		if n, ok := number(r.ID); ok {
			last = max(last, n)
		}
	}
	return fmt.Sprintf("%06d-%s", last+1, manifest.String()[:8])
}

// number is that of an ID which nextID has made.
func number(id string) (n int, ok bool) {
	var rest string
	if got, err := fmt.Sscanf(id, "%d-%8s", &n, &rest); err != nil || got != 2 || n <= 0 {
		return 0, false
	}
	return n, fmt.Sprintf("%06d-%s", n, rest) == id
}

// build makes the directory of a release, durably.
func (s *Store) build(ctx context.Context, h *shelf, m Manifest, r *Release, text []byte, live string) (err error) {
	name := "build-" + r.ID
	if err := h.root.RemoveAll(incomingName + "/" + name); err != nil { // Of a commit that failed.
		return err
	}
	defer func() {
		if err != nil {
			_ = h.root.RemoveAll(incomingName + "/" + name)
		}
	}()
	fresh, err := s.linkAll(ctx, h, m, name)
	if err == nil {
		err = s.agree(h, m, live)
	}
	if err == nil {
		err = writeManifest(h, r, m, text)
	}
	if err == nil {
		err = syncAll(h.top)
	}
	if err != nil {
		return full(err, m)
	}
	for _, hash := range fresh {
		dir, err := h.blobDir(hash[0], true)
		if err == nil {
			err = rename(h.incoming, hash.String(), dir, hash.String())
		}
		if err != nil {
			return full(err, m)
		}
	}
	s.forget(fresh)
	if err := rename(h.incoming, name, h.releases, r.ID); err != nil {
		return err
	}
	return syncAll(h.top)
}

// full makes an error of a disk that was filled meanwhile the one that says so.
func full(err error, m Manifest) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return &FullError{Need: m.directories() * 4096}
	}
	return err
}

// writeManifest writes what stands beside a release.
func writeManifest(h *shelf, r *Release, m Manifest, text []byte) error {
	about, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	wish, err := globs(h)
	if err != nil {
		return err
	}
	if err := writeAssetList(h, *r, wish, m.assetsAmong(wish)); err != nil {
		return err
	}
	if err := h.root.WriteFile(manifestsName+"/"+r.ID+".manifest", text, 0o600); err != nil {
		return err
	}
	return h.root.WriteFile(manifestsName+"/"+r.ID+".json", append(about, '\n'), 0o600)
}

// flip makes a release the live one, durably, and has the accelerator told.
func (s *Store) flip(ctx context.Context, h *shelf, r Release) (Release, error) {
	if info, err := h.root.Lstat(currentName); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return r, wrongPlace{"the content partition has a directory or file named current, which has to be the link to the live release. Rename it, and try again"}
	}
	wanted, err := s.assetsFor(h, r.ID)
	if err == nil {
		err = s.addAssets(h, wanted)
	}
	if err != nil { // The release is whole without them.
		s.log().Warn("pages that were loaded before may miss files", "err", err)
	}
	if err := renameio.SymlinkRoot(h.root, releasesName+"/"+r.ID, currentName); err != nil {
		return r, err
	}
	if err := h.top.Sync(); err != nil {
		return r, err
	}
	r.Live = true
	s.log().Info("release live", "id", r.ID, "files", r.Files, "by", r.By)
	if s.Flipped != nil {
		if err := s.Flipped(ctx); err != nil {
			r.Trouble = err.Error()
			return r, nil
		}
	}
	if err == nil {
		err = s.trimAssets(h, wanted)
	}
	if err != nil {
		s.log().Warn("files of earlier releases cannot be removed", "err", err)
	}
	return r, nil
}
