package release

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// The files of other releases that a page asks for which was loaded before the flip: those which the live one has not. They
// are links in a directory of their own, as a release would have them, and the accelerator serves what is there where the
// release has nothing of that name. Beside it stands what is in it, a manifest.
const (
	assetsName = ".ramjet/assets"
	assetsList = ".ramjet/assets.manifest"
)

// A name has a hash if it ends in one that is long and has a digit.
var (
	hashed   = regexp.MustCompile(`[-._][0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*\.[a-z0-9]+$`)
	longPart = regexp.MustCompile(`[-._][0-9A-Za-z_-]{8,}\.[a-z0-9]+$`)
)

// isAsset tells whether a file is one that a page may still ask for after the next flip, without another wish. Whoever
// changes it changes rules.
func isAsset(name string) bool {
	for _, end := range packed {
		name = strings.TrimSuffix(name, end)
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".js", ".mjs", ".css", ".wasm", ".woff", ".woff2", ".ttf", ".otf", ".eot":
		return true
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg", ".ico": // Without a hash they stay the same from release to release.
		name = path.Base(name)
		return hashed.MatchString(name) && longPart.MatchString(name)
	}
	return false
}

// assetsIn reads the lines of a manifest that are for assets. It does not look at the others, which may be very many.
func assetsIn(text []byte, is func(name string) bool) (m Manifest, err error) {
	for line := range strings.Lines(string(text)) {
		hash, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		size, name, _ := strings.Cut(rest, " ")
		if !is(name) {
			continue
		}
		e := Entry{Path: name}
		if e.Hash, err = ParseHash(hash); err == nil {
			e.Size, err = strconv.ParseInt(size, 10, 64)
		}
		if err = errors.Join(err, CheckPath(name)); err != nil {
			return nil, err
		}
		m = append(m, e)
	}
	return m, nil
}

// assetsFor are the assets of all other releases than the one of that ID that it has not itself; of several of a name the
// newest.
func (s *Store) assetsFor(h *shelf, id string) (wanted Manifest, err error) {
	all, err := s.list(h)
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	i := slices.IndexFunc(all, func(r Release) bool { return r.ID == id })
	if i < 0 {
		return nil, ErrNone
	}
	itself := all[i]
	wish, err := globs(h)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, r := range slices.Insert(slices.Delete(all, i, i+1), 0, itself) {
		if r.Manifest == (Hash{}) { // Made by hand: nobody knows what it has.
			continue
		}
		m, err := s.assetsOf(h, r, wish)
		if err != nil {
			return nil, err
		}
		for _, e := range m {
			if !known[e.Path] && r.ID != id {
				wanted = append(wanted, e)
			}
			known[e.Path] = true
		}
	}
	return wanted, nil
}

// assets reads what is there; if that cannot be read, all is cleared.
func assets(h *shelf) (Manifest, error) {
	text, err := h.root.ReadFile(assetsList)
	if err == nil {
		var m Manifest
		if m, err = assetsIn(text, everything); err == nil {
			return m, nil
		}
	}
	return nil, h.root.RemoveAll(assetsName)
}

func writeAssets(h *shelf, m Manifest) error {
	return renameio.WriteFile(assetsList, m.Text(), 0o600, renameio.WithRoot(h.root))
}

// addAssets links what is wanted and not there. It comes before a flip, and leaves what the release before it needs.
func (s *Store) addAssets(h *shelf, wanted Manifest) error {
	there, err := assets(h)
	if err != nil {
		return err
	}
	hashes := map[string]Hash{}
	for _, e := range there {
		hashes[e.Path] = e.Hash
	}
	added := there
	for _, e := range wanted {
		if _, is := hashes[e.Path]; !is {
			added = append(added, e)
		}
	}
	if len(added) > len(there) { // First the list: so whatever is linked can be found again.
		if err := writeAssets(h, added); err != nil {
			return err
		}
	}
	for _, e := range wanted {
		name := assetsName + "/" + e.Path
		hash, is := hashes[e.Path]
		if is && hash == e.Hash {
			if _, err := h.root.Lstat(name); err == nil {
				continue
			}
		}
		if err := linkAsset(h, e, name); err != nil {
			return err
		}
	}
	return nil
}

// linkAsset links one. What stands in its way, as a file where it needs a directory, stays: it is newer.
func linkAsset(h *shelf, e Entry, name string) error {
	for _, dir := range parents(name) {
		if err := h.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nothingInTheWay(err)
		}
	}
	if err := h.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nothingInTheWay(err)
	}
	hash := e.Hash.String()
	return nothingInTheWay(h.root.Link(blobsName+"/"+hash[:2]+"/"+hash, name))
}

func nothingInTheWay(err error) error {
	for _, way := range []error{unix.ENOTDIR, unix.ENOTEMPTY, unix.EISDIR, unix.EMLINK, fs.ErrExist} {
		if errors.Is(err, way) {
			return nil
		}
	}
	return err
}

// parents are the directories above a name, below the site's own.
func parents(name string) (dirs []string) {
	for dir := path.Dir(name); len(dir) >= len(assetsName); dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

// trimAssets removes what is not wanted any more. It comes when the accelerator serves the release.
func (s *Store) trimAssets(h *shelf, wanted Manifest) error {
	there, err := assets(h)
	if err != nil {
		return err
	}
	hashes := map[string]Hash{}
	for _, e := range wanted {
		hashes[e.Path] = e.Hash
	}
	var gone Manifest
	for _, e := range there {
		hash, is := hashes[e.Path]
		if is && hash == e.Hash {
			continue
		}
		gone = append(gone, e)
		if is { // Another one has taken its place.
			continue
		}
		name := assetsName + "/" + e.Path
		if err := h.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nothingInTheWay(err)
		}
		dirs := parents(name)
		slices.Reverse(dirs)
		for _, dir := range dirs {
			if h.root.Remove(dir) != nil { // It is not empty.
				break
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := writeAssets(h, wanted); err != nil {
		return err
	}
	for _, e := range gone {
		if err := removeUnused(h, e.Hash[0], e.Hash.String()); err != nil {
			return err
		}
	}
	return nil
}
