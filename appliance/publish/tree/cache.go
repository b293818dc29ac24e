package tree

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"ramjet/appliance/release"
)

// remembered is a line of the cache: hash, dev, ino, size, mtime, ctime and path of a file. A line that cannot be read is none.
type remembered struct {
	id   identity
	hash release.Hash
}

func load(name string) map[string]remembered {
	all := map[string]remembered{}
	f, err := os.Open(name)
	if err != nil {
		return all
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if path, r, ok := parse(lines.Text()); ok {
			all[path] = r
		}
	}
	return all
}

func parse(line string) (path string, r remembered, ok bool) {
	words := strings.SplitN(line, " ", 7)
	if len(words) != 7 {
		return "", r, false
	}
	var failed error
	number := func(word string) int64 {
		n, err := strconv.ParseInt(word, 10, 64)
		failed = errors.Join(failed, err)
		return n
	}
	r.id = identity{uint64(number(words[1])), uint64(number(words[2])), number(words[3]), number(words[4]), number(words[5])}
	hash, err := release.ParseHash(words[0])
	r.hash = hash
	return words[6], r, errors.Join(failed, err) == nil
}

// save remembers the files that have not changed since the time, in nanoseconds since 1970.
func save(name string, files []File, since int64) {
	var b bytes.Buffer
	for _, f := range files {
		if max(f.id.mtime, f.id.ctime) < since {
			fmt.Fprintf(&b, "%s %d %d %d %d %d %s\n", f.Hash, int64(f.id.dev), int64(f.id.ino), f.id.size, f.id.mtime, f.id.ctime, f.Path)
		}
	}
	if os.MkdirAll(filepath.Dir(name), 0o700) == nil {
		_ = renameio.WriteFile(name, b.Bytes(), 0o600)
	}
}
