// Package access knows who may steer the box: whoever has the name and the password of updates over the air. One file of
// the image holds the password, hashed, and one on /perm may take its place.
package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// User is the name that goes with the password: the one that gok sends.
const User = "gokrazy"

// Files are where the password is. Each file holds the bcrypt hash of the password, or the password itself.
type Files struct {
	// Image is of the image. Without it the box was built to let nobody in.
	Image string
	// Own counts instead, if it is there.
	Own string
}

// Default are the files of the box.
var Default = Files{Image: "/etc/ramjet/password", Own: "/perm/gokr-pw.txt"}

// maxFile bounds what is read of a file: no password is longer.
const maxFile = 4096

// Access is the check. Its methods may be called at any time.
type Access struct {
	// Asked, if it is set before the first request, sees what those who are let in ask for.
	Asked func(http.Handler) http.Handler

	hash  []byte     // of the password, by bcrypt; immutable
	key   [32]byte   // of seen; immutable
	turn  sync.Mutex // one bcrypt at a time: guesses must not take the processor from the traffic
	guess *limiter

	mu   sync.Mutex
	seen [sha256.Size]byte // guarded by mu: the last pair that was right, so that bcrypt is asked once for it
	any  bool              // guarded by mu: there was one
}

// Open reads the password.
func Open(files Files) (*Access, error) {
	text, err := read(files.Image)
	if err != nil {
		return nil, err
	}
	name := files.Image
	if own, err := read(files.Own); err == nil {
		text, name = own, files.Own
	}
	if text == "" {
		return nil, fmt.Errorf("%s is empty", name)
	}
	hash := []byte(text)
	if _, err := bcrypt.Cost(hash); err != nil {
		if hash, err = Hash(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	a := &Access{hash: hash, guess: newLimiter()}
	rand.Read(a.key[:])
	return a, nil
}

// read returns a file's text without the blanks around it.
func read(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is no password: longer than %d bytes", name, maxFile)
	}
	return strings.TrimSpace(string(text)), err
}

// Hash is what an image holds of a password.
func Hash(password string) ([]byte, error) {
	return bcrypt.GenerateFromPassword(digest(password), bcrypt.DefaultCost)
}

// Matches reports whether hash is one of that password.
func Matches(hash []byte, password string) bool {
	return bcrypt.CompareHashAndPassword(hash, digest(password)) == nil
}

// digest lets bcrypt, which looks at 72 bytes, see all of a password. Its own text has no zero byte and is shorter.
func digest(password string) []byte {
	if len(password) <= 72 {
		return []byte(password)
	}
	sum := sha256.Sum256([]byte(password))
	return fmt.Appendf(nil, "%x", sum)
}

// Allowed reports whether that name and password open the box. It takes as long for a wrong name as for a wrong password.
func (a *Access) Allowed(user, password string) bool {
	mac := hmac.New(sha256.New, a.key[:])
	fmt.Fprintf(mac, "%d %s %s", len(user), user, password)
	pair := [sha256.Size]byte(mac.Sum(nil))
	a.mu.Lock()
	known := a.any && subtle.ConstantTimeCompare(pair[:], a.seen[:]) == 1
	a.mu.Unlock()
	if known {
		return true
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	right := Matches(a.hash, password)
	if subtle.ConstantTimeCompare([]byte(user), []byte(User)) != 1 || !right {
		return false
	}
	a.mu.Lock()
	a.seen, a.any = pair, true
	a.mu.Unlock()
	return true
}
