package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// index is the page that changes.
const index = "index.html"

// makeSite writes that many files with so many bytes in all, 100 to a folder, always the same ones. Their sizes differ
// much, as those of sites do, and their bytes cannot be compressed.
func makeSite(dir string, files int, bytes int64) error {
	random := rand.New(rand.NewPCG(1, 2))
	weights, sum := make([]float64, files-1), 0.0
	for i := range weights {
		weights[i] = 0.05 + random.ExpFloat64()
		sum += weights[i]
	}
	var buffer []byte
	for i, w := range weights {
		folder := filepath.Join(dir, fmt.Sprintf("%03d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		buffer = buffer[:0]
		for n := int(w / sum * float64(bytes)); len(buffer) < n; {
			buffer = append(buffer, byte(random.Uint32()))
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%05d.bin", i)), buffer, 0o644); err != nil {
			return err
		}
	}
	return change(dir, 0)
}

// change makes another first page.
func change(dir string, version int) error {
	return os.WriteFile(filepath.Join(dir, index), fmt.Appendf(nil, "<!doctype html><title>Version</title><p>%d\n", version), 0o644)
}
