package content

import (
	"fmt"
	"syscall"
)

// A View is the content as one configuration shows it to the event loop: which
// paths are static, and their answers rendered for the wire. Immutable; a new
// configuration is a new View.
type View struct {
	Store  *Store
	Rules  *Rules
	Server string // the Server field, "" for none
}

// A Page is one path of a View. Immutable.
type Page struct {
	// Static tells that a GET or HEAD for the path is static (its query aside).
	// All else is then to be had from the complete tier.
	Static bool
	// Redirect tells that the path is a directory's without its slash.
	Redirect bool
	// Forms are the object's representations.
	Forms []Form

	view   *View
	object *Object
}

// A Form is one representation with its rendered fields. They end with the
// empty line; the status line, Date and Connection go before them.
type Form struct {
	*Representation
	OK          []byte // the fields of a 200
	NotModified []byte // the fields of a 304
}

// IgnoreQuery tells whether a query changes nothing about a static file.
func (v *View) IgnoreQuery() bool { return v.Rules.IgnoreQuery || !v.Rules.Farm }

// Page returns what is at a decoded path, nil if nothing is. It is rendered the
// first time that it is asked for, since few of a large site's files are hot, and
// kept with the object; from then on this allocates nothing.
func (v *View) Page(path []byte) *Page {
	o := v.Store.live.Load().objects[string(path)]
	if o == nil {
		return nil
	}
	if p := o.page.Load(); p != nil && p.view == v {
		return p
	}
	p := v.render(string(path), o)
	o.page.Store(p)
	return p
}

func (v *View) render(path string, o *Object) *Page {
	p := &Page{view: v, object: o}
	q := &question{rules: v.Rules, method: "GET", target: Target{Path: path}, object: o}
	p.Redirect = o.Location != ""
	p.Static = !p.Redirect
	for i := range Table {
		p.Static = p.Static && Table[i].verdict(q) == ""
	}
	if !p.Static {
		return p
	}
	p.Forms = make([]Form, len(o.Representations))
	for i, r := range o.Representations {
		f := &p.Forms[i]
		f.Representation = r
		v.Rules.each(v.Server, o, r, func(name, value string, kept bool) {
			f.OK = fmt.Appendf(f.OK, "%s: %s\r\n", name, value)
			if kept {
				f.NotModified = fmt.Appendf(f.NotModified, "%s: %s\r\n", name, value)
			}
		})
		f.OK = append(f.OK, "\r\n"...)
		f.NotModified = append(f.NotModified, "\r\n"...)
	}
	return p
}

// Choose returns the form to send, nil if none is acceptable. Without an
// Accept-Encoding field that is Forms[0].
func (p *Page) Choose(a *Acceptance) *Form {
	if i := p.object.choose(a); i >= 0 {
		return &p.Forms[i]
	}
	return nil
}

// Bytes returns the body if it is in memory. It is not to be changed.
func (r *Representation) Bytes() (body []byte, ok bool) { return r.body, r.file == nil }

// Descriptor returns the descriptor of the file if it is kept open: for as long
// as the Representation is in use, and without an offset that means anything.
func (r *Representation) Descriptor() (fd int, ok bool) {
	if r.file == nil || r.file.kept == nil {
		return -1, false
	}
	return r.file.fd, true
}

// Unchanged tells whether the file, as fstat(2) shows it, still has the bytes
// that were loaded.
func (r *Representation) Unchanged(st *syscall.Stat_t) bool {
	return identity{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano()}.sameBytes(r.identity)
}
