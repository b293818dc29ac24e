package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// maxDepth is how deep objects and lists may nest. The settings need four; the parser's recursion needs a bound.
const maxDepth = 16

// syntaxError is where text stops being JSON, and why.
type syntaxError struct {
	offset int
	text   string
}

func (e *syntaxError) Error() string { return e.text }

// parseTree parses text into values that alias it. A text of nothing but comments gives nil.
func parseTree(text []byte) (*hujson.Value, *syntaxError) {
	if len(text) > MaxFile {
		return nil, &syntaxError{0, "the file is larger than " + formatSize(MaxFile)}
	}
	if i := invalidUTF8(text); i >= 0 {
		return nil, &syntaxError{i, "not UTF-8 text; save the file as UTF-8"}
	}
	empty, wrong := scan(text)
	if wrong != nil || empty {
		return nil, wrong
	}
	// The parser wants a line end after a last comment.
	value, err := hujson.Parse(append(bytes.Clone(text), '\n'))
	if err != nil {
		return nil, translate(text, err)
	}
	return &value, nil
}

func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// scan looks at quotes, comments and brackets before the parser does. The parser alone would report a missing end at the
// end of the file, and recurses as deep as the brackets go. It also reports whether there is any value at all.
func scan(text []byte) (empty bool, wrong *syntaxError) {
	var open []int // offsets of the brackets not yet closed
	empty = true
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		case bytes.HasPrefix(rest, []byte("//")):
			i += lengthUntil(rest, "\n", len(rest)) - 1
			continue
		case bytes.HasPrefix(rest, []byte("/*")):
			n := lengthUntil(rest[2:], "*/", -1)
			if n < 0 {
				return false, &syntaxError{i, "this comment has no end; close it with */"}
			}
			i += 2 + n - 1
			continue
		case c == '"':
			n := lengthOfText(rest)
			if n < 0 {
				return false, &syntaxError{i, `this text has no end; close it with " on the same line`}
			}
			i += n - 1
		case c == '{' || c == '[':
			if len(open) == maxDepth {
				return false, &syntaxError{i, fmt.Sprintf("nested more than %d deep", maxDepth)}
			}
			open = append(open, i)
		case c == '}' || c == ']':
			if len(open) == 0 {
				return false, &syntaxError{i, fmt.Sprintf("%q closes nothing", c)}
			}
			if start := open[len(open)-1]; text[start] != c-2 { // '{' is '}'-2, '[' is ']'-2
				line, _ := position(text, start)
				return false, &syntaxError{i, fmt.Sprintf("%q does not close the %q of line %d", c, text[start], line)}
			}
			open = open[:len(open)-1]
		}
		empty = false
	}
	if len(open) > 0 {
		start := open[len(open)-1]
		return false, &syntaxError{start, fmt.Sprintf("this %q is never closed", text[start])}
	}
	return empty, nil
}

// lengthUntil returns the length of b up to and including its first end, or none.
func lengthUntil(b []byte, end string, none int) int {
	if i := bytes.Index(b, []byte(end)); i >= 0 {
		return i + len(end)
	}
	return none
}

// lengthOfText returns the length of the text in double quotes that b begins with, or -1 if the line ends before it.
func lengthOfText(b []byte) int {
	for i := 1; i < len(b) && b[i] != '\n'; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// translate turns an error of the parser, "hujson: line 3, column 7: reason", into an offset and a reason in one line.
func translate(text []byte, err error) *syntaxError {
	var line, column int
	if _, scanErr := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &line, &column); scanErr != nil {
		return &syntaxError{0, quote(err.Error())}
	}
	offset := 0
	for ; line > 1; line-- {
		offset += lengthUntil(text[offset:], "\n", len(text)-offset)
	}
	reason := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		reason = inner.Error()
	}
	if literal, ok := strings.CutPrefix(reason, "invalid literal: "); ok {
		reason = badLiteral(literal)
	}
	return &syntaxError{min(offset+column-1, len(text)), reason}
}

func badLiteral(literal string) string {
	switch c := literal[0]; {
	case c == '"':
		return fmt.Sprintf(`bad text %s; write \\ for a backslash, \t for a tab, \u0000 for a character by its number`, quote(strings.Trim(literal, `"`)))
	case c == '-' || c == '+' || c == '.' || '0' <= c && c <= '9':
		return fmt.Sprintf("bad number %s; anything but plain digits belongs in double quotes", short(literal))
	default:
		return fmt.Sprintf(`bare word %s; text belongs in double quotes: "%s"`, short(literal), short(literal))
	}
}

// position returns line and column, both from 1, of an offset. The column counts characters.
func position(text []byte, offset int) (line, column int) {
	before := text[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}
