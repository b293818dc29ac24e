package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// flushed is how long a server may keep lines to itself.
const flushed = 3 * time.Second

// checkLogs looks whether the servers that should log have logged everything:
// who leaves out lines has it easier.
func (o *outcome) checkLogs(servers []*running) {
	for i, r := range servers {
		if c := &o.columns[i]; c.log && c.err == nil {
			c.err = r.checkLog()
		}
	}
}

// checkLog counts the lines of a server's access log, rotated files included.
func (r *running) checkLog() error {
	deadline := time.Now().Add(flushed)
	for {
		lines, err := countLines(filepath.Join(r.process.Dir, "access.log*"))
		if err != nil || lines >= r.answers {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has logged %d of %d requests", r.name, lines, r.answers)
		}
		time.Sleep(flushed / 10)
	}
}

// countLines counts those of all files that match a pattern.
func countLines(pattern string) (lines int64, err error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, 1<<20)
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		for err == nil {
			var n int
			n, err = f.Read(buffer)
			lines += int64(bytes.Count(buffer[:n], []byte{'\n'}))
		}
		f.Close()
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	return lines, nil
}
