package fileset

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

func TestMixOrder(t *testing.T) {
	files := Mix()
	const n = 200_000
	drawn := make([]float64, len(files))
	mean := 0.0
	for _, i := range MixOrder(n) {
		drawn[i]++
		mean += float64(files[i].Size) / n
	}
	if mean < 14_000 || mean > 15_500 {
		t.Errorf("the mean answer has %.0f bytes, want about 14.7 KB", mean)
	}
	for _, class := range []struct {
		name  string
		share float64
	}{
		{"class0_", .35}, {"class1_", .50}, {"class2_", .14}, {"class3_", .01},
		{"dir00000", 1 / 3.5977}, {"dir00001", 1 / 3.5977 / 2}, // the 20th harmonic number
		{"_5.html", .353}, {"_1.html", .039},
	} {
		got := 0.0
		for i, f := range files {
			if strings.Contains(f.Path, class.name) {
				got += drawn[i] / n
			}
		}
		if math.Abs(got-class.share) > 0.006 {
			t.Errorf("%s: %.3f of the requests, want %.3f", class.name, got, class.share)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	read := func(path string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for path, size := range map[string]int{KB1: 1 << 10, KB10: 10 << 10, KB100: 100 << 10, MB1: 1 << 20} {
		if got := len(read(path)); got != size {
			t.Errorf("%s has %d bytes, want %d", path, got, size)
		}
	}
	for _, f := range Mix() {
		if got := len(read(f.Path)); got != f.Size {
			t.Errorf("%s has %d bytes, want %d", f.Path, got, f.Size)
		}
	}
	text := read(Text)
	g, err := gzip.NewReader(bytes.NewReader(read(Text + ".gz")))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"gzip": g, "brotli": brotli.NewReader(bytes.NewReader(read(Text + ".br")))} {
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: error %v, or it is not the text", name, err)
		}
	}
	if like, br := len(read(LikeBr)), len(read(Text+".br")); like != br || like > len(text)/2 {
		t.Errorf("brotli: %d bytes, and %d as they are", br, like)
	}
}
