// Package durable writes small files that are whole after a power cut, the old one or the new one, and the new one once
// the call has returned: renameio, and then fsync of the directory. That is as durable as the disk is honest about it.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Write puts text in the place of a file, whole and durably; nil removes the file. A new file can be read by its owner
// alone, another one keeps its mode.
func Write(name string, text []byte) error {
	if text == nil {
		return Remove(name)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	if err := renameio.WriteFile(name, text, mode); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// Remove removes a file, if it is there.
func Remove(name string) error {
	if err := os.Remove(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// Read returns nil for a file that is not there, and never nil for one that is.
func Read(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && text == nil {
		text = []byte{}
	}
	return text, err
}

// SyncDir has a directory itself written.
func SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// MakeDir is os.MkdirAll, durably.
func MakeDir(name string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	parent := filepath.Dir(name)
	if err := MakeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}
