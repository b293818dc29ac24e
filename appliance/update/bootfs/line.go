package bootfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// The files of a boot file system that say which root the kernel takes. The second one is systemd-boot's; a file system
// that gok makes for an old box has none.
const (
	KernelFile  = "/vmlinuz"
	CommandFile = "/cmdline.txt"
	EntryFile   = "/loader/entries/gokraz~1.con" // gokrazy.conf
)

// RootArgument is what names the root in a command line.
var RootArgument = regexp.MustCompile(`root=[^ \n]+`)

// SetRoot writes another root into the command lines of a boot file system, in place, as gokrazy does.
func SetRoot(f *os.File, limit int64, root string) error {
	return edit(f, limit, func(old []byte) ([]byte, error) {
		text := RootArgument.ReplaceAllLiteral(old, []byte("root="+root))
		if !RootArgument.Match(text) {
			return nil, errors.New("there is no root=")
		}
		return text, nil
	})
}

// A command line has room for what is to hold for one start alone, where the machine's firmware has to be told by it: an
// argument of this name, which the kernel ignores.
const roomArgument = "ramjet.room="

var (
	room = regexp.MustCompile(`ramjet\.room=_*`)
	once = regexp.MustCompile(`ramjet\.trial=.*?ramjet\.room=_*`)
)

// ErrNoRoom is a command line without that argument, or with too little of it.
var ErrNoRoom = errors.New("the command line has no room for a trial")

// HasRoom tells by its error why Once cannot put words as long as these into the command lines.
func HasRoom(f *os.File, limit int64, words string) error {
	_, err := plan(f, limit, putting(words))
	return err
}

// Once puts words, of which the first is ramjet.trial=, into the command lines, for the next start.
func Once(f *os.File, limit int64, words string) error { return edit(f, limit, putting(words)) }

func putting(words string) func(old []byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) {
		old = Plain(old)
		at := room.FindIndex(old)
		text := words + " " + roomArgument
		if at == nil || at[1]-at[0] < len(text) || at[1] > Sector {
			return nil, ErrNoRoom
		}
		left := bytes.Repeat([]byte("_"), at[1]-at[0]-len(text))
		return slices.Concat(old[:at[0]], []byte(text), left, old[at[1]:]), nil
	}
}

// NoMore takes out what Once has put in, if it has.
func NoMore(f *os.File, limit int64) error {
	return edit(f, limit, func(old []byte) ([]byte, error) { return Plain(old), nil })
}

// Plain is a command line without what Once has put in.
func Plain(line []byte) []byte {
	return once.ReplaceAllFunc(line, func(words []byte) []byte {
		return append([]byte(roomArgument), bytes.Repeat([]byte("_"), len(words)-len(roomArgument))...)
	})
}

// edit changes the command lines in place, and returns once the disk has them. What changes of one is within one sector:
// a power cut leaves the old or the new one.
func edit(f *os.File, limit int64, change func(old []byte) ([]byte, error)) error {
	lines, err := plan(f, limit, change)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if _, err := f.WriteAt(l.text, l.offset); err != nil {
			return err
		}
	}
	return f.Sync()
}

// line is a command line as it will be, and where.
type line struct {
	offset int64
	text   []byte
}

// plan is edit without writing: those that are to be written.
func plan(f *os.File, limit int64, change func(old []byte) ([]byte, error)) ([]line, error) {
	var lines []line
	for _, name := range []string{CommandFile, EntryFile} {
		where, err := Find(f, limit, name)
		if err != nil && name == EntryFile {
			continue
		}
		if err != nil {
			return nil, err
		}
		old, err := where.Read(f)
		if err != nil {
			return nil, err
		}
		text, err := change(old)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if text = bytes.TrimRight(text, " "); len(text) > len(old) {
			return nil, fmt.Errorf("%s has no room for %d bytes more", name, len(text)-len(old))
		}
		text = append(text, bytes.Repeat([]byte(" "), len(old)-len(text))...)
		if !bytes.Equal(text, old) {
			lines = append(lines, line{where.Offset, text})
		}
	}
	return lines, nil
}
