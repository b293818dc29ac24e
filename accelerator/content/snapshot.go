package content

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Snapshot is one state of the tree, complete and immutable. It is swapped
// whole, never changed.
type Snapshot struct {
	Root    string    // the directory it was read from, links resolved
	Release string    // name of the live release, "" if the root itself is the site
	Loaded  time.Time // when it was read
	Took    time.Duration

	Files       int   // regular files found
	MemoryFiles int   // representations whose bodies are in memory
	MemoryBytes int64 // sum of their bodies
	OpenFiles   int   // representations with a descriptor kept open
	Unread      int   // representations that belong in memory and are not there yet; see Store.Sketch
	Changed     int   // files read anew or gone since the last snapshot
	Unsettled   int   // files left as they were because they are being written
	Skipped     []Skip

	objects map[string]*Object
	place   place
	clock   bool // whether the clock was plausible when it was read
}

// Skip is something in the tree that is not served, and why.
type Skip struct{ Path, Why string }

// maxSkips bounds what a Snapshot remembers of what it left out.
const maxSkips = 100

// Lookup returns the object at a decoded path, or nil.
func (s *Snapshot) Lookup(path string) *Object { return s.objects[path] }

// Objects returns how many paths have an answer, redirects included.
func (s *Snapshot) Objects() int { return len(s.objects) }

// Object is what a path names.
type Object struct {
	// Location is set for a directory that has an index file but was asked for
	// without its slash: the path to redirect to. All else is then empty.
	Location string

	ContentType  string // with charset; "" if the type is not known
	CacheControl string // "" for none
	Mode         uint32 // permission, setuid, setgid and sticky bits, as in st_mode & 07777

	// Representations holds identity first, then what siblings offer.
	Representations []*Representation

	page atomic.Pointer[Page] // as it was last rendered; see View
}

// Vary tells whether the answer depends on Accept-Encoding.
func (o *Object) Vary() bool { return len(o.Representations) > 1 }

// Representation is one coding of an object, with its validators.
type Representation struct {
	Encoding     string // content coding, "" for identity
	Size         int64  // bytes
	ETag         string // strong, quoted; different for each representation
	ModTime      time.Time
	LastModified string // ModTime as an HTTP date, "" if it is not to be believed

	identity identity
	hashed   bool // the ETag is a hash of the body
	body     []byte
	file     *openFile
	unread   *unread // to be in memory, but not read yet: no ETag, and file leads to the body; else nil
}

// same tells whether the other one is as good as this one: it is the same, or
// both have the same state of a file in memory.
func (r *Representation) same(other *Representation) bool {
	return r == other || r.file == nil && other.file == nil && r.identity == other.identity &&
		r.Encoding == other.Encoding && r.ETag == other.ETag && r.LastModified == other.LastModified
}

// Where tells where the bytes come from, in words.
func (r *Representation) Where() string {
	switch {
	case r.file == nil:
		return "from memory"
	case r.file.kept != nil:
		return "from an open file"
	default:
		return "from a file opened for the request"
	}
}

// Explain describes the representation in words: "br, from memory".
func (r *Representation) Explain() string {
	coding := r.Encoding
	if coding == "" {
		coding = identityCoding
	}
	return fmt.Sprintf("%s, %s", coding, r.Where())
}
