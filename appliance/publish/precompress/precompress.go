package precompress

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ramjet/appliance/publish/tree"
	"ramjet/appliance/release"
)

// Source is a file of the site.
type Source struct {
	Path string
	Hash release.Hash
	Size int64
	Open func() (io.ReadSeekCloser, error)
}

// Form is a compressed form of a file, to be published under its Path.
type Form struct {
	Path string
	Hash release.Hash
	Size int64
	Open func() (io.ReadSeekCloser, error)
}

// made is what came of a content: the hash and size of a form. The zero value: it saves too little.
type made struct {
	hash release.Hash
	size int64
}

// Memory remembers what was compressed, in a directory:
//
//	forms-1        a line "SHA-256 suffix SHA-256 size" for each form, with a size of 0 for one that saves too little
//	forms/1a2b…    the forms themselves, by their SHA-256, as long as there is room
type Memory struct {
	dir string

	mu    sync.Mutex
	index map[string]made // guarded by mu: by "SHA-256 suffix"
	lines strings.Builder // guarded by mu: what the file has not
}

// maxIndex bounds the file of the index, in bytes; a longer one is begun anew.
const maxIndex = 256 << 20

// Open opens the memory in a directory. One that cannot be read is empty, and so is a fresh one.
func Open(dir string, fresh bool) *Memory {
	m := &Memory{dir: dir, index: map[string]made{}}
	if fresh {
		return m
	}
	f, err := os.Open(m.indexName())
	if err != nil {
		return m
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxIndex {
		_ = os.Remove(m.indexName())
		return m
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, one, ok := parse(lines.Text()); ok {
			m.index[key] = one
		}
	}
	return m
}

func (m *Memory) indexName() string { return filepath.Join(m.dir, "forms-"+levels) }

func (m *Memory) name(hash release.Hash) string { return filepath.Join(m.dir, "forms", hash.String()) }

func parse(line string) (key string, one made, ok bool) {
	words := strings.Split(line, " ")
	if len(words) != 4 {
		return "", one, false
	}
	_, wrong := release.ParseHash(words[0])
	hash, err := release.ParseHash(words[2])
	size, notNumber := strconv.ParseInt(words[3], 10, 64)
	if errors.Join(wrong, err, notNumber) != nil || size < 0 || size > mostSize {
		return "", one, false
	}
	return words[0] + " " + words[1], made{hash, size}, true
}

// Close writes down what is new, and removes the oldest forms where they take too much room.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lines.Len() == 0 {
		return nil
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	// At the end of the file, at once: several may publish at a time.
	f, err := os.OpenFile(m.indexName(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(m.lines.String())
	m.lines.Reset()
	return errors.Join(err, f.Close(), m.prune(mostKept))
}

// Wanted are the forms of a file that are worth being made, if there is none already.
func Wanted(s Source, exists func(path string) bool) (suffixes []string) {
	if !worthTrying(s.Path, s.Size) {
		return nil
	}
	for _, f := range forms {
		if path := s.Path + f.suffix; !exists(path) && release.CheckPath(path) == nil {
			suffixes = append(suffixes, f.suffix)
		}
	}
	return suffixes
}

// Knows tells whether those forms of a file need no work.
func (m *Memory) Knows(s Source, suffixes []string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, suffix := range suffixes {
		if _, known := m.index[s.Hash.String()+" "+suffix]; !known {
			return false
		}
	}
	return true
}

// Forms makes those forms of a file that save enough.
func (m *Memory) Forms(ctx context.Context, s Source, suffixes []string) (all []Form, err error) {
	text := sync.OnceValues(func() ([]byte, error) { return read(s) })
	for _, f := range forms {
		if !slices.Contains(suffixes, f.suffix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		key := s.Hash.String() + " " + f.suffix
		m.mu.Lock()
		one, known := m.index[key]
		m.mu.Unlock()
		if !known {
			if one, err = m.make(f, text); err != nil {
				return nil, err
			}
			m.remember(key, one)
		}
		if one.size > 0 {
			all = append(all, Form{s.Path + f.suffix, one.hash, one.size, func() (io.ReadSeekCloser, error) { return m.open(s, f, one) }})
		}
	}
	return all, nil
}

func (m *Memory) remember(key string, one made) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index[key] = one
	fmt.Fprintf(&m.lines, "%s %s %d\n", key, one.hash, one.size)
}

func (m *Memory) make(f form, text func() ([]byte, error)) (one made, err error) {
	content, err := text()
	if err != nil {
		return one, err
	}
	small, err := f.compress(content)
	if err != nil || !saves(len(small), len(content)) {
		return one, err
	}
	one = made{sha256.Sum256(small), int64(len(small))}
	return one, m.keep(one.hash, small)
}

// keep keeps a form until it is sent, and longer.
func (m *Memory) keep(hash release.Hash, content []byte) error {
	if err := os.MkdirAll(filepath.Join(m.dir, "forms"), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(m.dir, "forms"), "*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content) // Not synced: the box would not take what is torn.
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), m.name(hash))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// open opens a form that was made. If it is not kept any more it is made once more.
func (m *Memory) open(s Source, f form, one made) (io.ReadSeekCloser, error) {
	file, err := os.Open(m.name(one.hash))
	if err == nil {
		if info, err := file.Stat(); err == nil && info.Size() == one.size {
			return file, nil
		}
		file.Close()
	}
	again, err := m.make(f, func() ([]byte, error) { return read(s) })
	if err != nil {
		return nil, err
	}
	if again != one { // The index is wrong.
		return nil, fmt.Errorf("%s%s: %w", s.Path, f.suffix, tree.ErrChanged)
	}
	return os.Open(m.name(one.hash))
}

// read reads a file, and makes sure that it is what was hashed: what comes of it is remembered.
func read(s Source) ([]byte, error) {
	f, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, s.Size+1))
	if err == nil && sha256.Sum256(text) != s.Hash {
		err = fmt.Errorf("%s: %w", s.Path, tree.ErrChanged)
	}
	return text, err
}
