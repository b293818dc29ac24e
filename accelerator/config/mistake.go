package config

import (
	"fmt"
	"strings"
)

// Mistake is one thing that is wrong with a file.
type Mistake struct {
	File   string // name as given
	Line   int    // from 1
	Column int    // from 1, in characters: of the value, or of the name where the name is wrong
	Field  string // path of the setting, such as backends[0].url; empty for a mistake in the syntax
	Text   string // what is wrong and what to do, one line
}

// Error returns the mistake as one line, in the form that editors know: file:line:column: field: text.
func (m Mistake) Error() string {
	if m.Field == "" {
		return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Field, m.Text)
}

// Mistakes are the things that are wrong with a file, in the order of the file; at least one, and at most about a hundred.
type Mistakes []Mistake

// Error returns one line for each mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}
