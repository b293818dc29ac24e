package content

import "sync"

// unread is a body that belongs in memory and was not read yet: the store went
// live with what a walk of the tree showed. Whoever needs it first reads it.
type unread struct {
	mu   sync.Mutex
	body []byte // nil if not read
	etag string
}

// unread returns what is known of a file without opening it.
func (l *loader) unread(f *found, top *confined, below string) *Representation {
	r := &Representation{Size: f.id.size, file: &openFile{root: top, name: below}}
	if f.memory {
		r.unread = &unread{}
	}
	return r
}

// whole returns the representation with its body and its validator, which an
// unread one does not have yet. It fails like Open.
func (r *Representation) whole() (*Representation, error) {
	if r.unread == nil {
		return r, nil
	}
	r.unread.mu.Lock()
	defer r.unread.mu.Unlock()
	if r.unread.body == nil {
		body, err := r.readBody()
		if err != nil {
			return nil, err
		}
		r.unread.body, r.unread.etag = body, hashETag(body)
	}
	read := *r
	read.body, read.ETag, read.hashed = r.unread.body, r.unread.etag, true
	read.file, read.unread = nil, nil
	return &read, nil
}

// readBody reads the file and makes sure that it is, before and after, the one
// that was looked at.
func (r *Representation) readBody() ([]byte, error) {
	f, err := r.file.open()
	if err != nil {
		return nil, err
	}
	b := &Body{file: f, identity: r.identity}
	defer b.Close()
	if err := b.unchanged(); err != nil {
		return nil, err
	}
	body, err := readWhole(f, r.Size)
	if err != nil {
		return nil, err
	}
	return body, b.unchanged()
}
