// Package token knows the tokens with which programs steer the box. Of a token only a SHA-256 hash is kept, so the file is
// of no use to whoever reads it; a token is 256 random bits, so there is nothing to guess.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"ramjet/appliance/durable"
)

// Scopes are what a token can be for.
var Scopes = []string{"status", "config", "network", "publish"}

// maxTokens bounds the file.
const maxTokens = 100

// prefix shows what a token is, to people and to programs that look for secrets.
const prefix = "ramjet_"

// Token is what is known of a token.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Hash    string    `json:"hash,omitempty"` // SHA-256, in hexadecimal
}

// Store is the file of tokens. Its methods may be called at any time.
type Store struct {
	file string
	mu   sync.Mutex
	all  []Token // guarded by mu
}

// Open reads the file; none is one without tokens.
func Open(file string) (*Store, error) {
	s := &Store{file: file}
	text, err := durable.Read(file)
	if err != nil || text == nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s.all); err != nil {
		return nil, fmt.Errorf("%s: %w; remove the file, and make the tokens anew", file, err)
	}
	return s, nil
}

// ErrNone is the answer to an ID that no token has.
var ErrNone = errors.New("there is no such token")

// Make makes a token and returns it: it cannot be had again.
func (s *Store) Make(name string, scopes []string) (secret string, made Token, err error) {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return "", Token{}, errors.New("the name has to be 1 to 64 printable characters")
	}
	if len(scopes) == 0 {
		return "", Token{}, fmt.Errorf("scopes: name at least one of %s", strings.Join(Scopes, ", "))
	}
	for i, scope := range scopes {
		if !slices.Contains(Scopes, scope) {
			return "", Token{}, fmt.Errorf("scopes: %q is not one of %s", scope, strings.Join(Scopes, ", "))
		}
		if slices.Contains(scopes[:i], scope) {
			return "", Token{}, fmt.Errorf("scopes: %q is there twice", scope)
		}
	}
	var random [32]byte
	var id [4]byte
	rand.Read(random[:])
	rand.Read(id[:])
	secret = prefix + base64.RawURLEncoding.EncodeToString(random[:])
	made = Token{ID: hex.EncodeToString(id[:]), Name: name, Scopes: scopes, Created: time.Now().UTC().Truncate(time.Second), Hash: hash(secret)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxTokens {
		return "", Token{}, fmt.Errorf("there are %d tokens already; revoke one", len(s.all))
	}
	if err := s.replace(append(slices.Clone(s.all), made)); err != nil {
		return "", Token{}, err
	}
	made.Hash = ""
	return secret, made, nil
}

// Revoke removes a token.
func (s *Store) Revoke(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(s.all), func(t Token) bool { return t.ID == id })
	if len(left) == len(s.all) {
		return ErrNone
	}
	return s.replace(left)
}

// replace is called with mu held.
func (s *Store) replace(all []Token) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.MakeDir(filepath.Dir(s.file)); err != nil {
		return err
	}
	if err := durable.Write(s.file, append(text, '\n')); err != nil {
		return err
	}
	s.all = all
	return nil
}

// List returns all of them, without the hashes.
func (s *Store) List() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Token, len(s.all))
	for i, t := range s.all {
		t.Hash = ""
		all[i] = t
	}
	return all
}

// Find returns the token whose secret that is.
func (s *Store) Find(secret string) (Token, bool) {
	want := []byte(hash(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	var found Token
	ok := false
	for _, t := range s.all { // All of them: how long it takes says nothing.
		if subtle.ConstantTimeCompare([]byte(t.Hash), want) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}

// Allows reports whether the token is for that.
func (t Token) Allows(scope string) bool { return slices.Contains(t.Scopes, scope) }

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
