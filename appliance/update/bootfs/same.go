package bootfs

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Where the boot partition has no room for two file systems, the one in use is left alone if nothing but the root is new:
// kernels change more seldom than programs do, and to be written over is the one thing that a power cut can break.

// Same tells whether two boot file systems of gok's hold the same files, but for the root in their command lines.
func Same(a, b io.ReaderAt, limitA, limitB int64) (bool, error) {
	filesA, err := Files(a, limitA)
	if err != nil {
		return false, err
	}
	filesB, err := Files(b, limitB)
	if err != nil {
		return false, err
	}
	if len(filesA) != len(filesB) {
		return false, nil
	}
	for name, of := range filesA {
		with, is := filesB[name]
		switch {
		case !is:
			return false, nil
		case strings.EqualFold(name, CommandFile) || strings.EqualFold(name, EntryFile):
			x, err := of.Read(a)
			if err != nil {
				return false, err
			}
			y, err := with.Read(b)
			if err != nil {
				return false, err
			}
			if !bytes.Equal(withoutRoot(x), withoutRoot(y)) {
				return false, nil
			}
		case of.Length != with.Length:
			return false, nil
		default:
			is, err := Equal(io.NewSectionReader(a, of.Offset, of.Length), io.NewSectionReader(b, with.Offset, with.Length))
			if err != nil || !is {
				return false, err
			}
		}
	}
	return true, nil
}

func withoutRoot(line []byte) []byte {
	return bytes.TrimRight(RootArgument.ReplaceAllLiteral(line, []byte("root=")), " \n")
}

// Equal tells whether a reader begins with all that another one has.
func Equal(got, want io.Reader) (bool, error) {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(want, b)
		if n == 0 && err == io.EOF {
			return true, nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
		if _, err := io.ReadFull(got, a[:n]); err != nil {
			return false, err
		}
		if string(a[:n]) != string(b[:n]) {
			return false, nil
		}
	}
}
