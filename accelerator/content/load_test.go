package content

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// bigTree writes 100,000 files of 1 to 3 KB, 100 to a folder.
func bigTree(b *testing.B) (root string, bytes int64) {
	b.Helper()
	root = b.TempDir()
	when := time.Now().Add(-time.Hour)
	text := make([]byte, 3<<10)
	for d := range 1000 {
		dir := filepath.Join(root, fmt.Sprintf("folder%02d/%02d", d/50, d%50))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for n := range 100 {
			size := 1<<10 + (d*100+n)%(2<<10)
			copy(text, fmt.Sprintf("%d %d", d, n))
			path := filepath.Join(dir, fmt.Sprintf("page-number-%03d.html", n))
			if err := os.WriteFile(path, text[:size], 0o644); err != nil {
				b.Fatal(err)
			}
			if err := os.Chtimes(path, when, when); err != nil {
				b.Fatal(err)
			}
			bytes += int64(size)
		}
	}
	return root, bytes
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkLoad loads 100,000 files whose pages are in the kernel's cache, and
// reports the heap that each costs beyond its body; again, with nothing changed;
// and a sketch of it, which is when a box is live.
func BenchmarkLoad(b *testing.B) {
	root, bytes := bigTree(b)
	o := Options{Root: root, Index: []string{"index.html"}, Memory: 1 << 30, MemoryPerFile: 1 << 20, OpenFiles: 1000, Charset: "utf-8", Settle: 250 * time.Millisecond}
	time.Sleep(writingWindow) // Or a sketch would have to open every file.
	var store *Store
	b.Run("first", func(b *testing.B) {
		store = nil
		before := heap()
		for b.Loop() {
			store = NewStore(o, slog.New(slog.DiscardHandler))
			if err := store.Load(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		s := store.Snapshot()
		if s.Files != 100_000 || s.MemoryBytes != bytes {
			b.Fatalf("%d files, %d bytes in memory", s.Files, s.MemoryBytes)
		}
		b.ReportMetric(float64(heap()-before-bytes)/float64(s.Files), "heap-B/file")
	})
	b.Run("sketch", func(b *testing.B) {
		var s *Store
		for b.Loop() {
			s = NewStore(o, slog.New(slog.DiscardHandler))
			if err := s.Sketch(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(s.Snapshot().Unread), "unread")
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if err := store.Load(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
