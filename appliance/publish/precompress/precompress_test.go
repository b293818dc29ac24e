package precompress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ramjet/appliance/publish/tree"
)

type text struct{ *strings.Reader }

func (text) Close() error { return nil }

// source is a file with the content; opened counts.
func source(path, content string, opened *int) Source {
	return Source{path, sha256.Sum256([]byte(content)), int64(len(content)), func() (io.ReadSeekCloser, error) {
		*opened++
		return text{strings.NewReader(content)}, nil
	}}
}

var decoders = map[string]func(io.Reader) (io.Reader, error){
	".br": func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	".zst": func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderMaxWindow(window))
	},
	".gz": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
}

// What is made is right, smaller, remembered, and made again where it was thrown away.
func TestForms(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "deep")
	for _, content := range []string{strings.Repeat("a page like others\n", 60), strings.Repeat("0123456789 and more of it, ", 400_000)} {
		opened := 0
		s := source("a/page.html", content, &opened)
		suffixes := Wanted(s, func(string) bool { return false })
		if !slices.Equal(suffixes, []string{".br", ".zst", ".gz"}) {
			t.Fatalf("wanted: %q", suffixes)
		}
		m := Open(dir, false)
		if m.Knows(s, suffixes) {
			t.Error("known before")
		}
		for round := range 3 {
			all, err := m.Forms(ctx, s, suffixes)
			if err != nil || len(all) != 3 || !m.Knows(s, suffixes) {
				t.Fatalf("%d forms, %v", len(all), err)
			}
			for i, f := range all {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				form, err := io.ReadAll(r)
				r.Close()
				if err != nil || f.Path != "a/page.html"+suffixes[i] || int64(len(form)) != f.Size || f.Hash != sha256.Sum256(form) || f.Size*2 > s.Size {
					t.Errorf("%s: %d bytes, said to be %d, %v", f.Path, len(form), f.Size, err)
				}
				plain, err := decoders[suffixes[i]](bytes.NewReader(form))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(plain); err != nil || string(got) != content {
					t.Errorf("%s becomes %d bytes, %v", f.Path, len(got), err)
				}
			}
			if opened != 1 {
				t.Errorf("round %d: read %d times", round, opened)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m = Open(dir, false)
		}
		if err := os.RemoveAll(dir + "/forms"); err != nil {
			t.Fatal(err)
		}
		all, err := m.Forms(ctx, s, suffixes[:1])
		if err != nil || opened != 1 {
			t.Fatalf("read %d times, %v", opened, err)
		}
		if r, err := all[0].Open(); err != nil || opened != 2 {
			t.Errorf("read %d times, %v", opened, err)
		} else {
			r.Close()
		}
	}
}

// What is no text, too small, too large, or there already is not wanted; what saves too little is not made, and not tried twice.
func TestNotWanted(t *testing.T) {
	opened := 0
	none := func(string) bool { return false }
	for path, content := range map[string]string{
		"small.html": strings.Repeat("x", leastSize-1), "picture.png": strings.Repeat("x", 5000), "none": strings.Repeat("x", 5000), "a.html.br": strings.Repeat("x", 5000),
		"large.html": strings.Repeat("x", mostSize+1), strings.Repeat("x", 250) + ".html": strings.Repeat("x", 5000),
	} {
		if got := Wanted(source(path, content, &opened), none); len(got) > 0 {
			t.Errorf("%.20s: %q", path, got)
		}
	}
	s := source("A.HTML", strings.Repeat("x", 5000), &opened)
	if got := Wanted(s, func(path string) bool { return path == "A.HTML.zst" }); !slices.Equal(got, []string{".br", ".gz"}) {
		t.Errorf("beside an own form: %q", got)
	}
	random := make([]byte, 20_000)
	for i, sum := 0, sha256.Sum256(nil); i < len(random); i += len(sum) {
		sum = sha256.Sum256(sum[:])
		copy(random[i:], sum[:])
	}
	s = source("random.txt", string(random), &opened)
	m := Open(t.TempDir(), false)
	for range 2 {
		if all, err := m.Forms(context.Background(), s, Wanted(s, none)); err != nil || len(all) > 0 || opened != 1 {
			t.Errorf("%d forms, read %d times, %v", len(all), opened, err)
		}
	}
	if saves(951, 1000) || !saves(950, 1000) {
		t.Error("5 % are another number")
	}
}

// A file that is not what its hash says is not remembered; a memory that is wrong does no harm.
func TestMistakes(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	opened := 0
	content := strings.Repeat("what it was ", 1000)
	s := source("a.txt", content, &opened)
	other := s
	other.Open = source("a.txt", strings.ToUpper(content), &opened).Open
	m := Open(dir, false)
	if all, err := m.Forms(ctx, other, []string{".br"}); !errors.Is(err, tree.ErrChanged) || len(all) > 0 {
		t.Errorf("%d forms, %v", len(all), err)
	}
	right, err := m.Forms(ctx, s, []string{".br"})
	if err = errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(m.indexName())
	if err != nil || strings.Count(string(index), "\n") != 1 {
		t.Fatalf("%s, %v", index, err)
	}
	for _, wrong := range []string{"", "\x00\n", strings.Repeat("x", 1<<20), string(index[:80]), strings.ReplaceAll(string(index), " ", "  "), s.Hash.String() + " .br x 10\n", s.Hash.String() + " .br " + s.Hash.String() + " -1\n"} {
		if err := os.WriteFile(m.indexName(), []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := Open(dir, false).Forms(ctx, s, []string{".br"}); err != nil || len(all) != 1 || all[0].Hash != right[0].Hash {
			t.Errorf("%.100q: %v, %v", wrong, all, err)
		}
	}
	// It says another hash: that is seen when the form is needed, and the next time it is right.
	if err := os.WriteFile(m.indexName(), []byte(s.Hash.String()+" .br "+s.Hash.String()+" 10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := Open(dir, false).Forms(ctx, s, []string{".br"})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if r, err := all[0].Open(); !errors.Is(err, tree.ErrChanged) {
		t.Errorf("%v, %v", r, err)
	}
	if all, err := Open(dir, true).Forms(ctx, s, []string{".br"}); err != nil || all[0].Hash != right[0].Hash {
		t.Errorf("%v, %v", all, err)
	}
}

func TestPrune(t *testing.T) {
	m := Open(t.TempDir(), false)
	for i, content := range []string{"old", "middle", "new"} {
		hash := sha256.Sum256([]byte(content))
		err := m.keep(hash, []byte(strings.Repeat("x", 100)))
		if err == nil {
			err = os.Chtimes(m.name(hash), time.Time{}, time.Now().Add(time.Duration(i)*time.Minute))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.prune(250); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]bool{"old": false, "middle": true, "new": true} {
		if _, err := os.Stat(m.name(sha256.Sum256([]byte(content)))); (err == nil) != want {
			t.Errorf("%s: %v", content, err)
		}
	}
}
