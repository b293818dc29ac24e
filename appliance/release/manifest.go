package release

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Hash is the SHA-256 of a content.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is for JSON.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is for JSON.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	*h = parsed
	return err
}

// ParseHash reads a hash: 64 hexadecimal digits, small ones.
func ParseHash(s string) (h Hash, err error) {
	if len(s) != hex.EncodedLen(len(h)) || strings.ToLower(s) != s {
		return Hash{}, errors.New("a hash has 64 digits from 0 to 9 and a to f")
	}
	_, err = hex.Decode(h[:], []byte(s))
	return h, err
}

// Entry is a file of a release.
type Entry struct {
	Hash Hash
	Size int64  // bytes
	Path string // relative, with slashes
}

// Manifest is the files of a release, in the order of their paths.
type Manifest []Entry

// The bounds of a manifest.
const (
	MaxFiles    = 1 << 20
	MaxManifest = 256 << 20 // bytes of its text
	maxSize     = 1 << 40   // bytes of a file
)

// ErrRefused is a manifest, or a name in it, that cannot be published.
var ErrRefused = errors.New("refused")

// refused makes an error ErrRefused, with its own text alone.
type refused struct{ error }

func (refused) Is(target error) bool { return target == ErrRefused }

func refusedf(format string, args ...any) error { return refused{fmt.Errorf(format, args...)} }

// ParseManifest reads a manifest: a line "hash size path" for each file, in any order.
func ParseManifest(r io.Reader) (Manifest, error) {
	var m Manifest
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		hash, rest, _ := strings.Cut(lines.Text(), " ")
		size, path, _ := strings.Cut(rest, " ")
		var e Entry
		var err error
		if e.Hash, err = ParseHash(hash); err != nil {
			return nil, refusedf("line %d of the manifest: %w", n, err)
		}
		if e.Size, err = strconv.ParseInt(size, 10, 64); err != nil || e.Size < 0 || e.Size > maxSize {
			return nil, refusedf("line %d of the manifest: %q is no size from 0 to %d bytes", n, size, int64(maxSize))
		}
		e.Path = path
		if m = append(m, e); len(m) > MaxFiles {
			return nil, refusedf("more than %d files", MaxFiles)
		}
	}
	if err := lines.Err(); err == bufio.ErrTooLong {
		return nil, refusedf("a line of the manifest is too long")
	} else if err != nil {
		return nil, err
	}
	return m, m.Check()
}

// Check brings the files into their order, and says what cannot be published: a name that leads elsewhere, one that is
// there twice, one that is a file and a directory, a content with two sizes.
func (m Manifest) Check() error {
	if len(m) == 0 {
		return refusedf("there are no files")
	}
	if len(m) > MaxFiles {
		return refusedf("more than %d files", MaxFiles)
	}
	slices.SortFunc(m, func(a, b Entry) int { return comparePaths(a.Path, b.Path) })
	sizes := make(map[Hash]int64, len(m))
	for i, e := range m {
		if err := CheckPath(e.Path); err != nil {
			return refused{err}
		}
		if i > 0 && m[i-1].Path == e.Path {
			return refusedf("%q is there twice", e.Path)
		}
		if i > 0 && strings.HasPrefix(e.Path, m[i-1].Path+"/") {
			return refusedf("%q is a file and a directory", m[i-1].Path)
		}
		if size, known := sizes[e.Hash]; known && size != e.Size {
			return refusedf("%q has the hash of another file and another size", e.Path)
		}
		sizes[e.Hash] = e.Size
	}
	return nil
}

// Text is what ParseManifest reads.
func (m Manifest) Text() []byte {
	var b bytes.Buffer
	for _, e := range m {
		fmt.Fprintf(&b, "%s %d %s\n", e.Hash, e.Size, e.Path)
	}
	return b.Bytes()
}

// contents yields each content once.
func (m Manifest) contents(yield func(Entry) bool) {
	seen := make(map[Hash]struct{}, len(m))
	for _, e := range m {
		if _, known := seen[e.Hash]; known {
			continue
		}
		seen[e.Hash] = struct{}{}
		if !yield(e) {
			return
		}
	}
}

// size is the sum of all files, in bytes.
func (m Manifest) size() (sum int64) {
	for _, e := range m {
		sum += e.Size
	}
	return sum
}

// directories counts them, the top included.
func (m Manifest) directories() int64 {
	known := map[string]struct{}{"": {}}
	for _, e := range m {
		for dir := e.Path; ; {
			i := strings.LastIndexByte(dir, '/')
			if i < 0 {
				break
			}
			dir = dir[:i]
			if _, is := known[dir]; is {
				break
			}
			known[dir] = struct{}{}
		}
	}
	return int64(len(known))
}
