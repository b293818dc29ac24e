// Package fileset makes the files that the servers serve: always the same ones,
// so that two runs measure the same.
package fileset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// The single files, by their URL paths.
const (
	KB1   = "/1k.html"
	KB10  = "/10k.html"
	KB100 = "/100k.html"
	MB1   = "/1m.html"

	// Text is 64 KiB of words, with siblings in brotli and gzip beside it.
	Text = "/text.html"
	// LikeBr and LikeGz are as large as those siblings, and have none.
	LikeBr = "/like-br.html"
	LikeGz = "/like-gz.html"
)

// modified is the time of all files: long ago, for a server may treat what has
// just changed with more care.
var modified = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// Write writes all files below dir, which it makes.
func Write(dir string) error {
	source := rand.NewChaCha8([32]byte{20, 1, 24})
	random := rand.New(source)
	files := map[string][]byte{
		KB1: noise(source, 1<<10), KB10: noise(source, 10<<10), KB100: noise(source, 100<<10), MB1: noise(source, 1<<20),
	}
	for _, f := range Mix() {
		files[f.Path] = noise(source, f.Size)
	}
	text := words(random, 64<<10)
	inBrotli, inGzip, err := compress(text)
	if err != nil {
		return err
	}
	files[Text], files[Text+".br"], files[Text+".gz"] = text, inBrotli, inGzip
	files[LikeBr], files[LikeGz] = noise(source, len(inBrotli)), noise(source, len(inGzip))
	for path, content := range files {
		if err := write(filepath.Join(dir, path), content); err != nil {
			return err
		}
	}
	// The servers may have given up being root.
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
}

func write(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		return err
	}
	return os.Chtimes(name, modified, modified)
}

// noise returns bytes that no coding makes smaller.
func noise(source *rand.ChaCha8, size int) []byte {
	b := make([]byte, size)
	source.Read(b) // Never fails.
	return b
}

// words returns text that compresses about as well as prose does.
func words(random *rand.Rand, size int) []byte {
	vocabulary := make([]string, 2000)
	for i := range vocabulary {
		var w strings.Builder
		for range 2 + random.IntN(8) {
			w.WriteByte(byte('a' + random.IntN(26)))
		}
		vocabulary[i] = w.String()
	}
	zipf := rand.NewZipf(random, 1.1, 2, uint64(len(vocabulary)-1))
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteString(vocabulary[zipf.Uint64()])
		b.WriteByte(' ')
	}
	return b.Bytes()[:size]
}

// compress returns text in brotli and gzip, both at their best.
func compress(text []byte) (inBrotli, inGzip []byte, err error) {
	var br, gz bytes.Buffer
	b := brotli.NewWriterLevel(&br, brotli.BestCompression)
	g, err := gzip.NewWriterLevel(&gz, gzip.BestCompression)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range []interface {
		Write([]byte) (int, error)
		Close() error
	}{b, g} {
		if _, err := w.Write(text); err != nil {
			return nil, nil, fmt.Errorf("compressing: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, nil, fmt.Errorf("compressing: %w", err)
		}
	}
	return br.Bytes(), gz.Bytes(), nil
}
