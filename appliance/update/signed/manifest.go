// Package signed says which bytes an update is made of, and who vouches for them: a list of its parts, and a minisign
// signature of the list. Both are text, and the stock minisign makes and checks the signature as well:
//
//	ramjet update
//	made 2026-01-02T15:04:05Z
//	root 41943040 3a6eb079…
//	boot 20971520 9b74c989…
//	mbr 446 e3b0c442…
//
// The numbers are the size in bytes and the SHA-256 of what is sent. The time is that of the signing; a box takes no list
// that was made before the one that it runs by, so that nobody can send it an old version whose faults are known.
package signed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Parts are the names of the parts, and of their files, in the order in which they are sent.
var Parts = []string{"root", "boot", "mbr"}

// Part is what must arrive.
type Part struct {
	Size int64 // bytes
	Hash [sha256.Size]byte
}

// Manifest is the list.
type Manifest struct {
	Made  time.Time // to the second
	Parts map[string]Part
}

const title = "ramjet update"

// List reads the parts in a directory.
func List(dir string, now time.Time) (*Manifest, error) {
	m := &Manifest{Made: now.UTC().Truncate(time.Second), Parts: map[string]Part{}}
	for _, name := range Parts {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		var p Part
		h := sha256.New()
		if p.Size, err = io.Copy(h, f); err != nil {
			return nil, err
		}
		h.Sum(p.Hash[:0])
		m.Parts[name] = p
	}
	return m, nil
}

// Text is the list as it is signed.
func (m *Manifest) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nmade %s\n", title, m.Made.Format(time.RFC3339))
	for _, name := range Parts {
		fmt.Fprintf(&b, "%s %d %x\n", name, m.Parts[name].Size, m.Parts[name].Hash)
	}
	return b.Bytes()
}

// parse reads a list. All of it has to be there, and nothing else.
func parse(text []byte) (*Manifest, error) {
	m := &Manifest{Parts: map[string]Part{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	if !lines.Scan() || lines.Text() != title {
		return nil, errors.New("it is no list of an update")
	}
	for n := 2; lines.Scan(); n++ {
		wrong := fmt.Errorf("line %d of the list is wrong: %q", n, lines.Text())
		f := strings.Split(lines.Text(), " ")
		if len(f) == 2 && f[0] == "made" {
			made, err := time.Parse(time.RFC3339, f[1])
			if err != nil {
				return nil, wrong
			}
			m.Made = made
			continue
		}
		if len(f) != 3 {
			return nil, wrong
		}
		var p Part
		size, err := strconv.ParseInt(f[1], 10, 64)
		hash, err2 := hex.DecodeString(f[2])
		if err != nil || err2 != nil || len(hash) != len(p.Hash) {
			return nil, wrong
		}
		p.Size, p.Hash = size, [sha256.Size]byte(hash)
		m.Parts[f[0]] = p
	}
	if !bytes.Equal(m.Text(), text) { // Twice the same, too little, another order.
		return nil, errors.New("it is not a whole list of an update")
	}
	return m, nil
}
