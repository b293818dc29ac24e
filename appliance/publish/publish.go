package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"ramjet/appliance/publish/precompress"
	"ramjet/appliance/publish/tree"
	"ramjet/appliance/release"
)

// Publisher publishes a folder.
type Publisher struct {
	Box  *Box
	Dir  string
	Tree tree.Options
	// Compress adds compressed forms of text. They are remembered in the directory Forms.
	Compress bool
	Forms    string
	// Quick publishes first without those that have to be made, and then once more, if nobody else has meanwhile.
	Quick bool
	// Stay makes the release without a flip.
	Stay bool
	// Only has nothing sent but the manifest: what is missing is what is of interest.
	Only     bool
	Progress *Progress
}

// Result is what became of it.
type Result struct {
	Release release.Release // of Only: none
	Files   int             // of the release
	Forms   int             // of these
	Left    []tree.Left
	// Sent are the paths whose contents were sent, or would be; of several with the same content, one.
	Sent  []string
	Bytes int64 // that were sent, or would be, or were sent again
}

// tries bounds how often a folder is read that changes all the time.
const tries = 6

// Run publishes. A folder that changes meanwhile is read again.
func (p *Publisher) Run(ctx context.Context) (Result, error) {
	for try := 1; ; try++ {
		r, err := p.once(ctx)
		if !errors.Is(err, tree.ErrChanged) || try == tries {
			return r, err
		}
		p.Progress.say("the folder has changed, it is read again: %v", err)
		p.Tree.Fresh = true
		if err := wait(ctx, pause(try)); err != nil {
			return r, err
		}
	}
}

func (p *Publisher) once(ctx context.Context) (r Result, err error) {
	p.Tree.Reads = func(files int, bytes int64) { p.Progress.begin("reading", files, bytes) }
	p.Tree.Read = func(bytes int64) { p.Progress.add(1, bytes) }
	t, err := tree.Read(ctx, p.Dir, p.Tree)
	p.Progress.end()
	if err != nil {
		return r, err
	}
	defer t.Close()
	r.Left = t.Left
	s := site{from: map[release.Hash]source{}, names: map[release.Hash]string{}}
	for i := range t.Files {
		f := &t.Files[i]
		s.add(f.Path, f.Hash, source{f.Size(), func() (io.ReadSeekCloser, error) { return t.Open(f) }})
	}
	query := url.Values{}
	if p.Stay {
		query.Set("live", "false")
	}
	if !p.Compress {
		return p.send(ctx, s, query, r)
	}
	memory := precompress.Open(p.Forms, p.Tree.Fresh)
	defer memory.Close()
	todo, known := formsOf(s.manifest, s.from, memory)
	quick := p.Quick && !known && !p.Only
	if quick {
		if r, err = p.send(ctx, s, query, r); err != nil || !r.Release.Live {
			return r, err
		}
		p.Progress.say("%s is live, without compressed forms: they follow", r.Release.ID)
		query.Set("instead", r.Release.ID)
	}
	all, err := p.compress(ctx, memory, todo)
	if err != nil {
		return r, err
	}
	for _, f := range all {
		s.add(f.Path, f.Hash, source{f.Size, f.Open})
	}
	r.Forms = len(all)
	if quick && r.Forms == 0 {
		return r, nil
	}
	before := r
	if r, err = p.send(ctx, s, query, r); quick && refusedWith(err, http.StatusPreconditionFailed) {
		p.Progress.say("somebody else has published meanwhile: the compressed forms stay out")
		before.Forms, before.Release.Live = 0, false
		return before, nil
	}
	return r, err
}

// site is what is to be published.
type site struct {
	manifest release.Manifest
	from     map[release.Hash]source
	names    map[release.Hash]string
}

func (s *site) add(path string, hash release.Hash, from source) {
	s.manifest = append(s.manifest, release.Entry{Hash: hash, Size: from.size, Path: path})
	if _, known := s.from[hash]; !known {
		s.from[hash], s.names[hash] = from, path
	}
}

// left is how many bytes of what is missing have to be sent.
func (s *site) left(missing []release.Missing) (n int64) {
	for _, m := range missing {
		n += s.from[m.Hash].size - m.Have
	}
	return n
}

// rounds bounds how often a release is begun anew whose contents were cleared away before it was committed.
const rounds = 5

// send has the box make a release.
func (p *Publisher) send(ctx context.Context, s site, values url.Values, r Result) (Result, error) {
	r.Files = len(s.manifest)
	if err := s.manifest.Check(); err != nil {
		return r, err
	}
	text, query := s.manifest.Text(), ""
	if len(values) > 0 {
		query = "?" + values.Encode()
	}
	w, err := p.Box.announce(ctx, text) // Once: who has never answered is not asked again and again.
	for round := 1; ; round++ {
		if err != nil {
			return r, err
		}
		if round == 1 {
			for _, m := range w.all {
				r.Sent = append(r.Sent, s.names[m.Hash])
			}
		}
		if p.Only {
			r.Bytes = s.left(w.all)
			return r, nil
		}
		if err = p.complete(ctx, s, w, &r); err == nil {
			err = p.persist(ctx, func() (err error) {
				r.Release, err = p.Box.commit(ctx, w.at, query)
				return err
			})
		}
		if !refusedWith(err, http.StatusNotFound, http.StatusConflict) || round == rounds {
			return r, err
		}
		err = p.persist(ctx, func() (err error) {
			w, err = p.Box.announce(ctx, text)
			return err
		})
	}
}

// complete sends until nothing is missing.
func (p *Publisher) complete(ctx context.Context, s site, w wanted, r *Result) error {
	left := s.left(w.all)
	p.Progress.begin("sending", len(w.all), left)
	defer func() { r.Bytes += p.Progress.end() }()
	for failures := 0; len(w.all) > 0; {
		before := len(w.all)
		cut, err := p.sendAll(ctx, w.all, s.from)
		switch {
		case refusedWith(err, http.StatusUnprocessableEntity): // Its hash is another one.
			return fmt.Errorf("%w (%w)", tree.ErrChanged, err)
		case err != nil && !passing(err) && !refusedWith(err, http.StatusConflict): // Which may be who goes on at the same place.
			return err
		}
		if err == nil { // All was taken. Should something have been lost since, the commit says so.
			return nil
		}
		if w, err = p.whatIsLeft(ctx, w.at, cut, err); err != nil {
			return err
		}
		if now := s.left(w.all); now < left || len(w.all) < before {
			left, failures = now, 0
			p.Progress.left(len(w.all), left)
			continue
		}
		if failures++; failures > attempts {
			return errors.New("the box does not keep what is sent to it")
		}
		if err := wait(ctx, pause(failures)); err != nil {
			return err
		}
	}
	return nil
}

// whatIsLeft asks the box, after an error also until it has noticed what was cut.
func (p *Publisher) whatIsLeft(ctx context.Context, at string, cut map[release.Hash]int64, why error) (w wanted, err error) {
	if why != nil {
		p.Progress.say("%v: trying again", why)
	}
	for deadline := time.Now().Add(noticeTime); ; {
		err = p.persist(ctx, func() (err error) {
			w, err = p.Box.missing(ctx, at)
			return err
		})
		if err != nil || noticed(w.all, cut) || time.Now().After(deadline) {
			return w, err
		}
		if err := wait(ctx, time.Second); err != nil {
			return w, err
		}
	}
}

// attempts bounds how often something is tried that does not go on: for about three minutes.
const attempts = 11

// longest bounds what a box may ask for before another attempt.
const longest = 5 * time.Minute

// pause is the time before another attempt.
func pause(failures int) time.Duration {
	return min(time.Second/4<<failures, 30*time.Second)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// persist tries again what may go well another time.
func (p *Publisher) persist(ctx context.Context, try func() error) error {
	for failures := 1; ; failures++ {
		err := try()
		if err == nil || !passing(err) || failures > attempts || ctx.Err() != nil {
			return err
		}
		again := pause(failures)
		if r := new(Refusal); errors.As(err, &r) {
			again = min(max(again, r.After), longest)
		}
		p.Progress.say("%v: trying again in %v", err, again)
		if err := wait(ctx, again); err != nil {
			return err
		}
	}
}
