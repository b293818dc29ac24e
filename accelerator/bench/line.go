package main

import (
	"fmt"
	"os"
)

// line is the last line on a terminal, which tells what goes on. Elsewhere
// each telling is a line of its own.
type line struct {
	file     *os.File
	terminal bool
}

func newLine(file *os.File) *line {
	info, err := file.Stat()
	return &line{file: file, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (l *line) say(format string, args ...any) {
	if l.terminal {
		fmt.Fprint(l.file, "\r\033[K")
	}
	fmt.Fprintf(l.file, format, args...)
	if !l.terminal {
		fmt.Fprintln(l.file)
	}
}

// end clears the line.
func (l *line) end() {
	if l.terminal {
		fmt.Fprint(l.file, "\r\033[K")
	}
}
