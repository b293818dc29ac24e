package release

import (
	"errors"
	"io/fs"
	"strings"
	"time"
)

// patience is how long a content that has arrived waits for its release.
const patience = 24 * time.Hour

// recover clears what a process that was killed, or a power cut, has left: builds, releases that were being removed,
// unfinished files, manifests without a release, blobs that no release has. It is called with mu held.
func (s *Store) recover(h *shelf) error {
	if err := s.clearIncoming(h, true); err != nil {
		return err
	}
	names, err := readDir(h, manifestsName)
	if err != nil {
		return err
	}
	for _, name := range names {
		id, _, _ := strings.Cut(name, ".")
		if info, err := h.root.Lstat(releasesName + "/" + id); err == nil && info.IsDir() {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := h.root.Remove(manifestsName + "/" + name); err != nil {
			return err
		}
	}
	for first := range 256 {
		dir, err := h.blobDir(byte(first), false)
		if err != nil {
			return err
		}
		if dir == nil {
			continue
		}
		blobs, err := dir.Readdirnames(-1)
		if err != nil {
			return err
		}
		for _, name := range blobs {
			if err := removeUnused(h, byte(first), name); err != nil {
				return err
			}
		}
	}
	return nil
}

// clearIncoming removes what nobody will ask for: what is older than patience, and, after a crash, all but contents and
// manifests.
func (s *Store) clearIncoming(h *shelf, crashed bool) error {
	return s.clear(h, func(name string, regular bool, age time.Duration) bool {
		return crashed && !(regular && isOurs(name)) || regular && age > patience
	})
}

// clear removes what is in incoming and goes.
func (s *Store) clear(h *shelf, goes func(name string, regular bool, age time.Duration) bool) error {
	names, err := readDir(h, incomingName)
	if err != nil {
		return err
	}
	for _, name := range names {
		st, err := stat(h.incoming, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if goes(name, isRegular(&st), s.now().Sub(time.Unix(st.Mtim.Unix()))) {
			if err := h.root.RemoveAll(incomingName + "/" + name); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeUnused removes a blob that no release is linked to.
func removeUnused(h *shelf, first byte, name string) error {
	dir, err := h.blobDir(first, false)
	if dir == nil || err != nil {
		return err
	}
	st, err := stat(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !isRegular(&st) || st.Nlink > 1 {
		return err
	}
	return remove(dir, name)
}

func readDir(h *shelf, name string) ([]string, error) {
	dir, err := h.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}
