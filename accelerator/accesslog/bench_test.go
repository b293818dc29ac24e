package accesslog

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// usual is a request as browsers send it.
func usual() *Record {
	return &Record{
		Time: time.Date(2026, 11, 25, 12, 56, 57, 123456789, time.UTC).UnixNano(), Duration: 87 * time.Microsecond,
		Remote: netip.MustParseAddr("192.0.2.17"), Status: 200, Bytes: 10240,
		Method: []byte("GET"), Target: []byte("/assets/app-3f9a1c.js"), Protocol: []byte("HTTP/1.1"), Host: []byte("www.example.org"),
		Referer:   []byte("https://www.example.org/products/index.html"),
		UserAgent: []byte("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
	}
}

// The producer alone: the ring is emptied when it is half full, at no cost.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{64 << 10, 256 << 10, DefaultRingBytes, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			ring := New(Options{Format: Combined, RingBytes: size}, slog.New(slog.DiscardHandler)).NewRing()
			m, rec := ring.memory.Load(), usual()
			b.ReportAllocs()
			for b.Loop() {
				if m.used() > uint64(size/2) {
					m.tail.Store(m.head.Load())
				}
				if !ring.Append(rec) {
					b.Fatal("full")
				}
			}
		})
	}
}

// Several goroutines at one ring.
func BenchmarkShared(b *testing.B) {
	shared := New(Options{Format: Combined}, slog.New(slog.DiscardHandler)).NewShared()
	m := shared.ring.memory.Load()
	b.RunParallel(func(pb *testing.PB) {
		rec := usual()
		for pb.Next() {
			if m.used() > DefaultRingBytes/2 {
				m.tail.Store(m.head.Load())
			}
			shared.Append(rec)
		}
	})
}

// The writer without its writing: an entry to a line.
func BenchmarkFormat(b *testing.B) {
	for f := Common; f <= JSON; f++ {
		b.Run(f.String(), func(b *testing.B) {
			var fm formatter
			var rec Record
			entry := make([]byte, entryLen(usual()))
			putEntry(entry, usual())
			line := Formats[f].append
			var buf []byte
			for b.Loop() {
				getEntry(entry, &rec)
				buf = line(&fm, buf[:0], &rec)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// All of it: processor time of the whole process for a line, at 100,000 lines a
// second, to a real file that is rotated. What "off" shows is the benchmark's own.
func BenchmarkLine(b *testing.B) {
	for f := Off; f <= JSON; f++ {
		b.Run(f.String(), func(b *testing.B) {
			l := New(Options{Format: f, To: Destination{File: filepath.Join(b.TempDir(), "access.log")}}, slog.New(slog.DiscardHandler))
			ring := l.NewRing()
			ctx, cancel := context.WithCancel(b.Context())
			var group sync.WaitGroup
			group.Go(func() { _ = l.Run(ctx) })
			rec := usual()
			before := cpu()
			for i := 0; b.Loop(); i++ {
				if i%500 == 0 { // The rest of a loop's time is not ours.
					time.Sleep(5 * time.Millisecond)
				}
				ring.Append(rec)
			}
			cancel()
			group.Wait()
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/line")
			b.ReportMetric(float64(l.Stats().Dropped), "dropped")
		})
	}
}

// cpu returns the processor time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
