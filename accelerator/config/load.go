package config

import (
	_ "embed" // reference.json
	"fmt"
	"io"
	"os"
	"syscall"
)

// MaxFile is the size in bytes above which a file is refused unread.
const MaxFile = 1 << 20

// Reference is the commented file with every setting and its default: the manual, and what Default returns. Do not change it.
//
//go:embed reference.json
var Reference []byte

// Default returns the configuration of an empty file.
func Default() *Config {
	c := new(Config)
	if err := c.read("reference.json", Reference); err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return c
}

// Load reads and parses the file at path. An error is of the type Mistakes if the file could be read, else as of Read.
func Load(path string) (*Config, error) {
	text, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Read reads the file at path for Parse. It must be a regular file: a pipe that nobody writes to must not hang a start. Of
// one that is too large it reads as much as shows that. An error is the one of the system call.
func Read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

// Parse parses text as the content of a file of that name. The name is used in messages and, for its folder, to
// complete relative paths; the file itself is not touched. An error is always of the type Mistakes.
func Parse(name string, text []byte) (*Config, error) { return ParseOver(Default(), name, text) }

// ParseOver is Parse with the settings of c, which it uses up, for what text does not set.
func ParseOver(c *Config, name string, text []byte) (*Config, error) {
	if err := c.read(name, text); err != nil {
		return nil, err
	}
	return c, nil
}
