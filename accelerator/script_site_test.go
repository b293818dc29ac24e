package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// siteFile is one line of site.list.
type siteFile struct {
	path    string
	mode    os.FileMode
	time    time.Time // zero: now
	content []byte
	link    string // target of a symbolic link
	folder  bool
}

// readSites reads site.list: the files of each site, by its name.
func readSites(name string) (map[string][]siteFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	sites, part := map[string][]siteFile{}, ""
	for i, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			part = name
			sites[part] = nil
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		f, err := parseSiteFile(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		sites[part] = append(sites[part], f)
	}
	return sites, nil
}

// parseSiteFile reads one line: mode, date, path, content.
func parseSiteFile(line string) (f siteFile, err error) {
	columns := strings.Fields(line)
	if len(columns) < 3 {
		return f, fmt.Errorf("%q is not mode, date, path, content", line)
	}
	mode, err := strconv.ParseUint(columns[0], 8, 12)
	if err != nil {
		return f, err
	}
	f.mode = os.FileMode(mode & 0o777)
	if mode&0o1000 != 0 {
		f.mode |= os.ModeSticky
	}
	if columns[1] != "-" {
		if f.time, err = time.Parse(time.DateOnly, columns[1]); err != nil {
			return f, err
		}
	}
	if f.path, err = expand(columns[2], nil); err != nil {
		return f, err
	}
	rest := line
	for _, column := range columns[:3] {
		rest = strings.TrimLeft(rest, " ")[len(column):]
	}
	rest = strings.TrimSpace(rest)
	var size, seed int
	if n, _ := fmt.Sscanf(rest, "random %d %d", &size, &seed); n == 2 {
		f.content = make([]byte, size)
		_, err := io.ReadFull(rand.NewChaCha8([32]byte{byte(seed)}), f.content)
		return f, err
	}
	if target, ok := strings.CutPrefix(rest, "-> "); ok {
		f.link = target
		return f, nil
	}
	f.folder = strings.HasSuffix(f.path, "/")
	bytes, err := expand(rest, nil)
	f.content = []byte(bytes)
	return f, err
}

// writeSite makes the files below dir.
func writeSite(dir string, files []siteFile) error {
	for _, f := range files {
		path := filepath.Join(dir, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		switch {
		case f.link != "":
			if err := os.Symlink(f.link, path); err != nil {
				return err
			}
			continue
		case f.folder:
			if err := os.Mkdir(path, 0o755); err != nil {
				return err
			}
		default:
			if err := os.WriteFile(path, f.content, 0o644); err != nil {
				return err
			}
		}
		if err := os.Chmod(path, f.mode); err != nil {
			return err
		}
		if !f.time.IsZero() {
			if err := os.Chtimes(path, f.time, f.time); err != nil {
				return err
			}
		}
	}
	return nil
}

// contents are the files of a site by their path.
func contents(files []siteFile) map[string][]byte {
	m := map[string][]byte{}
	for _, f := range files {
		m[f.path] = f.content
	}
	return m
}
