package release

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// globsName is which files are assets, a glob a line. Without it, those that pages load by themselves.
const globsName = ".ramjet/assets.globs"

// Globs are which files stay reachable after a flip. One without a slash is for the name of a file, wherever it is, one with
// slashes for its path; * and ? stand for no slash (path.Match). Usual stands for what is usual.
type Globs []string

// Usual is scripts, styles, WebAssembly and fonts, and images with a hash in the name.
const Usual = "usual"

// The bounds of globs.
const (
	mostGlobs   = 100
	longestGlob = 200 // bytes
)

// match tells whether a file is an asset. A compressed form is one if its file is.
func (g Globs) match(name string) bool {
	file := name
	for _, end := range packed {
		file = strings.TrimSuffix(file, end)
	}
	return slices.ContainsFunc(g, func(glob string) bool {
		if glob == Usual {
			return isAsset(name)
		}
		of := file
		if !strings.Contains(glob, "/") {
			of = path.Base(of)
		}
		is, _ := path.Match(glob, of)
		return is
	})
}

// Check says what is wrong with globs.
func (g Globs) Check() error {
	if len(g) > mostGlobs {
		return refusedf("more than %d globs", mostGlobs)
	}
	for _, glob := range g {
		if len(glob) > longestGlob {
			return refusedf("a glob is longer than %d bytes", longestGlob)
		}
		if _, err := path.Match(glob, ""); err != nil || strings.HasPrefix(glob, "/") || strings.ContainsAny(glob, "\r\n") {
			return refusedf("%q is no glob, such as *.js or docs/*.pdf", glob)
		}
	}
	return nil
}

// ParseGlobs reads globs, one a line.
func ParseGlobs(text string) (Globs, error) {
	g := Globs{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			g = append(g, line)
		}
	}
	return g, g.Check()
}

// Assets returns which files stay reachable after a flip.
func (s *Store) Assets() (Globs, error) {
	h, err := s.look()
	if err != nil {
		return nil, err
	}
	defer h.close()
	return globs(h)
}

func globs(h *shelf) (Globs, error) {
	text, err := h.root.ReadFile(globsName)
	if errors.Is(err, fs.ErrNotExist) {
		return Globs{Usual}, nil
	} else if err != nil {
		return nil, err
	}
	g, err := ParseGlobs(string(text))
	if err != nil {
		return Globs{Usual}, nil
	}
	return g, nil
}

// SetAssets sets which files stay reachable after a flip, at once for those of the releases that are there.
func (s *Store) SetAssets(ctx context.Context, g Globs) error {
	if err := g.Check(); err != nil {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	h, err := s.open()
	if err != nil {
		return err
	}
	defer h.close()
	text := strings.Join(append(slices.Clone(g), ""), "\n")
	if err := renameio.WriteFile(globsName, []byte(text), 0o600, renameio.WithRoot(h.root)); err != nil {
		return err
	}
	all, err := s.list(h)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Live {
			_, err = s.flip(ctx, h, r)
		}
	}
	return err
}
