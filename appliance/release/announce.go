package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"time"
)

// announcedEnd is the end of the name of a manifest that waits for its contents.
const announcedEnd = ".manifest"

// Announce takes the manifest of a release, of size bytes, before its contents. It returns the manifest's hash, by which it
// is committed later, and which contents have to be sent; one that cannot be committed is refused here: by its names
// (ErrRefused), by its place (ErrPlace), by its size (FullError).
func (s *Store) Announce(ctx context.Context, size int64, r io.Reader) (Hash, []Missing, error) {
	if size > MaxManifest {
		return Hash{}, nil, refusedf("the manifest is longer than %d bytes", MaxManifest)
	}
	h, err := s.open()
	if err != nil {
		return Hash{}, nil, err
	}
	defer h.close()
	if err := s.clearIncoming(h, false); err != nil {
		return Hash{}, nil, err
	}
	temporary, hash, err := arrive(h, size, r)
	if err != nil {
		return Hash{}, nil, err
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	m, err := readManifest(h, incomingName+"/"+temporary, hash)
	if err == nil {
		hash, err = keepAnnounced(h, m, temporary, hash)
	}
	if err != nil {
		_ = remove(h.incoming, temporary)
		return Hash{}, nil, err
	}
	missing, err := s.missing(ctx, h, m)
	if errors.As(err, new(*FullError)) {
		if err := s.makeRoom(h, m, hash); err != nil {
			return Hash{}, nil, err
		}
		missing, err = s.missing(ctx, h, m)
	}
	if err != nil {
		_ = remove(h.incoming, hash.String()+announcedEnd)
		return Hash{}, nil, err
	}
	return hash, missing, nil
}

// keepAnnounced gives a manifest the name by which it is found: that of its text as we write it.
func keepAnnounced(h *shelf, m Manifest, temporary string, hash Hash) (Hash, error) {
	text := m.Text()
	if own := Hash(sha256.Sum256(text)); own != hash {
		hash = own
		if err := h.root.WriteFile(incomingName+"/"+temporary, text, 0o644); err != nil {
			return hash, full(err, m)
		}
	}
	return hash, rename(h.incoming, temporary, h.incoming, hash.String()+announcedEnd)
}

// readManifest reads one, and makes sure that it is whole.
func readManifest(h *shelf, name string, hash Hash) (Manifest, error) {
	f, err := h.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotAnnounced
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	m, err := ParseManifest(io.TeeReader(f, sum))
	if err == nil && Hash(sum.Sum(nil)) != hash {
		err = ErrNotAnnounced
	}
	return m, err
}

// ErrNotAnnounced is the answer to a hash that is not the one of a manifest which waits.
var ErrNotAnnounced = errors.New("no such manifest waits for its contents: send it again")

// Missing tells which contents of a manifest that was announced have not arrived yet.
func (s *Store) Missing(ctx context.Context, manifest Hash) ([]Missing, error) {
	h, err := s.open()
	if err != nil {
		return nil, err
	}
	defer h.close()
	s.reading.Lock()
	defer s.reading.Unlock()
	m, err := readManifest(h, incomingName+"/"+manifest.String()+announcedEnd, manifest)
	if err != nil {
		return nil, err
	}
	return s.missing(ctx, h, m)
}

// CommitAnnounced is Commit of a manifest that was announced.
func (s *Store) CommitAnnounced(ctx context.Context, manifest Hash, how How) (Release, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	h, err := s.open()
	if err != nil {
		return Release{}, err
	}
	defer h.close()
	name := manifest.String() + announcedEnd
	m, err := readManifest(h, incomingName+"/"+name, manifest)
	if err != nil {
		return Release{}, err
	}
	r, err := s.commit(ctx, h, m, how)
	if err == nil {
		if err := remove(h.incoming, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	return r, err
}

// lull is how long what has arrived is left alone where room is needed: its sender may still be sending.
const lull = 10 * time.Minute

// makeRoom removes what waits in incoming, and is not of this manifest.
func (s *Store) makeRoom(h *shelf, m Manifest, manifest Hash) error {
	wanted := map[string]bool{manifest.String() + announcedEnd: true}
	for _, e := range m {
		wanted[e.Hash.String()], wanted[partName(e.Hash)] = true, true
	}
	return s.clear(h, func(name string, regular bool, age time.Duration) bool {
		return regular && age > lull && isOurs(name) && !wanted[name]
	})
}
