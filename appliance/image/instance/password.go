package instance

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"ramjet/appliance/access"
)

// hashFile holds what the image gets of the password.
const hashFile = "http-password.bcrypt"

// passwordFile has the name that gok itself gives to such a file.
const passwordFile = "http-password.txt"

// Password returns the update password of this checkout. It is made once, at
// random, and kept in dir with mode 0600: every image built from the checkout
// shares it, so that "gok update" can reach the boxes flashed before. Hold the
// build lock.
func Password(dir string) (string, error) {
	path := filepath.Join(dir, passwordFile)
	stored, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err == nil {
		password := strings.TrimSpace(string(stored))
		if password == "" {
			return "", fmt.Errorf("%s is empty: remove it to have a new password made", path)
		}
		return password, nil
	}
	password := rand.Text()
	return password, renameio.WriteFile(path, []byte(password+"\n"), 0o600)
}

// PasswordHash returns the hash of a password that the image holds. It is kept in dir: another one, of the same password,
// would make another image. Hold the build lock.
func PasswordHash(dir, password string) (string, error) {
	path := filepath.Join(dir, hashFile)
	if stored, err := os.ReadFile(path); err == nil && access.Matches(stored, password) {
		return string(stored), nil
	}
	hash, err := access.Hash(password)
	if err != nil {
		return "", err
	}
	return string(hash), renameio.WriteFile(path, hash, 0o600)
}
