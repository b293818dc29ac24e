package precompress

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// sample reads files of a folder that would be compressed: about 8 MB of them, spread over all. SAMPLE names another folder.
func sample(b *testing.B) (texts [][]byte, size int) {
	b.Helper()
	dir := "/usr/share/doc"
	if s := os.Getenv("SAMPLE"); s != "" {
		dir = s
	}
	var names []string
	var sum int64
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && worthTrying(name, info.Size()) && info.Size() <= 1<<20 && !strings.Contains(name, "copyright") {
			names, sum = append(names, name), sum+info.Size()
		}
		return err
	})
	if err != nil || len(names) == 0 {
		b.Skipf("no files below %s: %v", dir, err)
	}
	every := max(1, int(sum/8_000_000))
	for i := 0; i < len(names); i += every {
		text, err := os.ReadFile(names[i])
		if err != nil {
			b.Fatal(err)
		}
		texts, size = append(texts, text), size+len(text)
	}
	b.Logf("%d of %d files, %d bytes", len(texts), len(names), size)
	return texts, size
}

// BenchmarkLevels measures what each level takes, and what it leaves.
func BenchmarkLevels(b *testing.B) {
	texts, size := sample(b)
	run := func(name string, compress func([]byte) ([]byte, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			left := 0
			for b.Loop() {
				left = 0
				for _, text := range texts {
					form, err := compress(text)
					if err != nil {
						b.Fatal(err)
					}
					left += len(form)
				}
			}
			b.ReportMetric(100*float64(left)/float64(size), "%left")
		})
	}
	for level := 4; level <= 11; level++ {
		run(fmt.Sprint("brotli-", level), func(text []byte) ([]byte, error) { return brotliOf(text, level) })
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		run(fmt.Sprint("zstd-", level), func(text []byte) ([]byte, error) { return zstdOf(text, level) })
	}
	for _, level := range []int{5, 6, 7, 8, 9} {
		run(fmt.Sprint("gzip-", level), func(text []byte) ([]byte, error) { return gzipOf(text, level) })
	}
}
