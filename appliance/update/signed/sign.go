package signed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"aead.dev/minisign"
)

// The files of a signed update beside its parts.
const (
	ListFile      = "update.txt"
	SignatureFile = "update.txt.minisig"
)

// MaxBundle bounds a list with its signature, in bytes.
const MaxBundle = 16 << 10

// Sign returns the signature of a list, as minisign makes it.
func Sign(key minisign.PrivateKey, list []byte) []byte {
	r := minisign.NewReader(bytes.NewReader(list))
	_, _ = io.Copy(io.Discard, r) // From memory, to nowhere.
	return r.Sign(key)
}

// Bundle is a list and its signature as they are sent, one behind the other.
func Bundle(list, signature []byte) []byte { return append(bytes.Clone(list), signature...) }

// start is how a signature begins (minisign(1)). No line of a list does.
const start = "untrusted comment:"

// Open returns the list in a bundle, if one of the keys has signed it.
func Open(bundle []byte, keys []minisign.PublicKey) (*Manifest, error) {
	at := bytes.Index(bundle, []byte("\n"+start))
	if at < 0 {
		return nil, errors.New("there is no signature")
	}
	list, text := bundle[:at+1], bundle[at+1:]
	var signature minisign.Signature
	if err := signature.UnmarshalText(text); err != nil {
		return nil, errors.New("the signature is none of minisign's")
	}
	var known []string
	for _, key := range keys {
		if minisign.Verify(key, list, text) {
			return parse(list)
		}
		if key.ID() == signature.KeyID {
			return nil, fmt.Errorf("the signature is wrong: the list is not what key %016X has signed", key.ID())
		}
		known = append(known, fmt.Sprintf("%016X", key.ID()))
	}
	return nil, fmt.Errorf("it is signed with key %016X, and this box knows %s alone", signature.KeyID, strings.Join(known, " and "))
}

// Keys reads a file of public keys: minisign's own, or several of them, so that one can follow on the other.
func Keys(text []byte) ([]minisign.PublicKey, error) {
	var keys []minisign.PublicKey
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, start) || strings.HasPrefix(line, "#") {
			continue
		}
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(line)); err != nil {
			return nil, fmt.Errorf("%q is no public key of minisign: %w", line, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key in it")
	}
	return keys, nil
}
