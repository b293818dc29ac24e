package publish

import (
	"io"
	"strings"
	"sync"

	"ramjet/appliance/publish/tree"
	"ramjet/appliance/release"
)

// source is where a content comes from.
type source struct {
	size int64
	open func() (io.ReadSeekCloser, error)
}

// piece is a content that has to be sent, from where on.
type piece struct {
	release.Content
	source source
}

func (p *piece) left() int64 { return p.Size - p.From }

// batch is the body of a request: one content behind the other.
type batch struct {
	pieces []piece
	sent   func(files int, bytes int64) // is called while it is read
	moved  func()                       // as well

	mu   sync.Mutex // The transport may read on while its answer is there already.
	next int        // piece, that comes after the current one
	head io.Reader  // the line of the current one
	file io.ReadSeekCloser
	togo int64 // bytes of the current one
}

func (b *batch) size() (n int64) {
	for i := range b.pieces {
		n += int64(len(b.pieces[i].Line())) + b.pieces[i].left()
	}
	return n
}

func (b *batch) Read(p []byte) (n int, err error) {
	b.moved()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		if b.next == len(b.pieces) {
			return 0, io.EOF
		}
		if err := b.open(&b.pieces[b.next]); err != nil {
			return 0, err
		}
		b.next++
	}
	if n, err := b.head.Read(p); err == nil {
		return n, nil
	}
	if b.togo > 0 {
		n, err = b.file.Read(p[:min(int64(len(p)), b.togo)])
		if n == 0 && err == io.EOF {
			err = tree.ErrChanged
		}
		if n == 0 {
			return 0, err
		}
		b.togo -= int64(n)
		b.sent(0, int64(n))
	}
	if b.togo == 0 {
		b.sent(1, 0)
		b.file.Close()
		b.file = nil
	}
	return n, nil
}

func (b *batch) open(p *piece) (err error) {
	if b.file, err = p.source.open(); err != nil {
		return err
	}
	if _, err := b.file.Seek(p.From, io.SeekStart); err != nil {
		b.file.Close()
		b.file = nil
		return err
	}
	b.head, b.togo = strings.NewReader(p.Line()), p.left()
	return nil
}

// where is in which content it is, and how much of that was read.
func (b *batch) where() (p *piece, sent int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == 0 {
		return nil, 0
	}
	p = &b.pieces[b.next-1]
	return p, p.left() - b.togo
}

// Close is called when nobody reads it any more.
func (b *batch) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil
	}
	file := b.file
	b.file, b.next = nil, len(b.pieces)
	return file.Close()
}
