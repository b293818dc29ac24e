package update

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"aead.dev/minisign"

	"ramjet/appliance/update/signed"
)

// errUnsigned is the answer to an update without a signature, where one is required.
var errUnsigned = refuse(http.StatusForbidden,
	"this box takes signed updates alone, and no good signature has been sent: sign with \"appliance sign\", send with \"appliance update\"")

// requiredKeys returns the keys that updates have to be signed with, none if they need not be. A file that is there and
// cannot be read is an error: then nothing is taken.
func requiredKeys(files []string) ([]minisign.PublicKey, error) {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, refuse(http.StatusForbidden, "no update is taken, for the key that it has to be signed with cannot be read: %w", err)
		}
		keys, err := signed.Keys(text)
		if err != nil {
			return nil, refuse(http.StatusForbidden, "no update is taken, for %s is wrong: %w", name, err)
		}
		return keys, nil
	}
	return nil, nil
}

// putSignature takes the list of an update, and its signature, before its parts. Parts that are there already are dropped.
func (u *Updater) putSignature(w http.ResponseWriter, r *http.Request) {
	if !u.turn.TryLock() {
		u.answer(w, "signature", errBusy)
		return
	}
	defer u.turn.Unlock()
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, signed.MaxBundle))
	if err == nil {
		err = u.signature(text)
	}
	u.answer(w, "signature", err)
}

// signature checks a list, and keeps it for the parts that follow. Hold turn.
func (u *Updater) signature(bundle []byte) error {
	u.list = nil
	keys, err := requiredKeys(u.Keys)
	if err != nil || keys == nil { // Who needs no signature does not look at one.
		return err
	}
	list, err := signed.Open(bundle, keys)
	if err != nil {
		return refuse(http.StatusForbidden, "the update is refused: %w", err)
	}
	u.mu.Lock()
	newest := u.state.Signed
	u.mu.Unlock()
	if list.Made.Before(newest) {
		return refuse(http.StatusForbidden, "the update is refused: it was signed at %s, and one that was signed at %s has been here; sign it anew if you want it",
			list.Made.Format(time.RFC3339), newest.Format(time.RFC3339))
	}
	if err := u.stage.clear(); err != nil {
		return err
	}
	u.list = list
	return nil
}

// receive keeps a part, if it is the one that somebody vouches for, where that is required. Hold turn.
func (u *Updater) receive(part string, r *http.Request) ([]byte, error) {
	if err := u.vouched(); err != nil {
		return nil, err
	}
	if u.list == nil {
		return u.stage.receive(part, r, nil)
	}
	want := u.list.Parts[part]
	if r.ContentLength >= 0 && r.ContentLength != want.Size {
		return nil, refuse(http.StatusForbidden, "%s: %d bytes, and %d were signed", part, r.ContentLength, want.Size)
	}
	return u.stage.receive(part, r, func(sum []byte) error {
		if !bytes.Equal(sum, want.Hash[:]) {
			return refuse(http.StatusForbidden, "%s: it is not what was signed: its SHA-256 is %x, not %x", part, sum, want.Hash)
		}
		return nil
	})
}

// vouched says why an update may not go on: it needs a signature, and there is none. Hold turn.
func (u *Updater) vouched() error {
	keys, err := requiredKeys(u.Keys)
	if err != nil {
		return err
	}
	if keys != nil && u.list == nil {
		return errUnsigned
	}
	return nil
}

// guarded keeps those ways closed by which gokrazy would take another program, where updates have to be signed.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if keys, err := requiredKeys(s.Keys); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		} else if keys != nil {
			http.Error(w, fmt.Sprintf("this box takes signed updates alone, and %s knows no signatures", r.URL.Path), http.StatusForbidden)
		} else {
			next.ServeHTTP(w, r)
		}
	})
}
