package eventloop

import (
	"time"
	"unsafe"

	"ramjet/accelerator/content"
)

type form = content.Form

// find returns what a request asks for.
func (l *loop) find(view *content.View, r *request) (*content.Page, Reason) {
	path := r.path
	if r.escaped {
		var problem string
		if l.path, problem = content.AppendUnescaped(l.path[:0], text(path)); problem != "" {
			return nil, BadEscape
		}
		path = l.path
	}
	if !r.method.static() || r.hasQuery && !view.IgnoreQuery() {
		return nil, none
	}
	return view.Page(path), none
}

// represent returns the representation to send, nil if none is acceptable.
func (l *loop) represent(page *content.Page, r *request) *form {
	if len(r.acceptEncoding) == 0 {
		return &page.Forms[0]
	}
	// Most clients say what the last one said.
	if string(r.acceptEncoding) != string(l.accepts) {
		l.accepts = append(l.accepts[:0], r.acceptEncoding...)
		l.acceptance = content.ParseAcceptEncoding(text(r.acceptEncoding))
	}
	return page.Choose(&l.acceptance)
}

// notModified evaluates If-None-Match, or without it If-Modified-Since (RFC 9110
// §13.2.2), as far as they are in one of the usual forms.
func notModified(r *request, f *form) (matches bool, why Reason) {
	switch {
	case len(r.ifNoneMatch) > 0:
		return anyMatches(r.ifNoneMatch, f.ETag)
	case len(r.ifModifiedSince) == 0 || f.LastModified == "":
		return false, none
	case string(r.ifModifiedSince) == f.LastModified:
		return true, none
	}
	since, err := time.Parse(content.HTTPTime, text(r.ifModifiedSince))
	if err != nil {
		return false, Precondition
	}
	return !f.ModTime.After(since), none
}

// anyMatches compares a list of entity tags, or *, with etag by weak comparison
// (RFC 9110 §8.8.3.2, §13.1.2).
func anyMatches(list []byte, etag string) (matches bool, why Reason) {
	if len(list) == 1 && list[0] == '*' {
		return true, none
	}
	for at := 0; ; at++ {
		for at < len(list) && (list[at] == ' ' || list[at] == '\t') {
			at++
		}
		if begins(list[at:], "W/") {
			at += len("W/")
		}
		start := at
		if at == len(list) || list[at] != '"' {
			return false, Precondition
		}
		for at++; at < len(list) && list[at] > ' ' && list[at] != '"' && list[at] != 0x7f; at++ {
		}
		if at == len(list) || list[at] != '"' {
			return false, Precondition
		}
		at++
		matches = matches || string(list[start:at]) == etag
		for at < len(list) && (list[at] == ' ' || list[at] == '\t') {
			at++
		}
		if at == len(list) {
			return matches, none
		}
		if list[at] != ',' {
			return false, Precondition
		}
	}
}

// text is b as a string, for callees that do not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
