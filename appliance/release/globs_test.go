package release

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestGlobs(t *testing.T) {
	for _, test := range []struct {
		globs string
		name  string
		want  bool
	}{
		{"*.pdf", "a/b.pdf", true}, {"*.pdf", "b.pdf.gz", true}, {"*.pdf", "b.js", false}, {"a/*.pdf", "a/b.pdf", true}, {"a/*.pdf", "a/c/b.pdf", false},
		{"usual", "x.js", true}, {"usual", "b.pdf", false}, {"usual\n*.pdf\n", "x.js", true}, {"usual\n*.pdf\n", "b.pdf.br", true}, {"", "x.js", false},
	} {
		g, err := ParseGlobs(test.globs)
		if err != nil || g.match(test.name) != test.want {
			t.Errorf("%q, %q: want %v, %v", test.globs, test.name, test.want, err)
		}
	}
	for _, wrong := range []string{"[", "/a/*.js", strings.Repeat("x", 201), strings.Repeat("x\n", 101)} {
		if g, err := ParseGlobs(wrong); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %q, %v", wrong, g, err)
		}
	}
}

// Which files stay can be chosen, and the choice is at work at once, for the releases that are there already.
func TestSetAssets(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	if g, err := s.Assets(); err != nil || !slices.Equal(g, Globs{Usual}) {
		t.Errorf("%q, %v", g, err)
	}
	mustPublish(t, s, site{"index.html": "1", "one.js": "one", "one.pdf": "one", "one.pdf.gz": "small"})
	mustPublish(t, s, site{"index.html": "2"})
	for _, test := range []struct {
		globs Globs
		want  site
	}{
		{Globs{"*.pdf"}, site{"one.pdf": "one", "one.pdf.gz": "small"}},
		{Globs{Usual, "*.pdf"}, site{"one.js": "one", "one.pdf": "one", "one.pdf.gz": "small"}},
		{Globs{}, site{}},
		{Globs{Usual}, site{"one.js": "one"}},
	} {
		if err := s.SetAssets(t.Context(), test.globs); err != nil {
			t.Fatal(err)
		}
		if g, err := s.Assets(); err != nil || !slices.Equal(g, test.globs) {
			t.Errorf("%q, %v, want %q", g, err, test.globs)
		}
		if got := keptIn(t, root); !maps.Equal(got, test.want) {
			t.Errorf("%q: %v stay, want %v", test.globs, got, test.want)
		}
	}
	if err := s.SetAssets(t.Context(), Globs{"["}); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}
