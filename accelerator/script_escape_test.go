package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// inBraces is text in braces, which may have escaped ones inside.
var inBraces = regexp.MustCompile(`^\{((?:[^}\\]|\\.)*)\}`)

// repetition is {TEXT*N}: TEXT, N times.
var repetition = regexp.MustCompile(`(?s)^(.+)\*(\d+)$`)

// expand turns the text of a script into bytes: \r \n \t \0 \\ \{ \} \xHH, {TEXT*N}
// and {name} for a value that was kept.
func expand(text string, kept map[string]string) (string, error) {
	var out strings.Builder
	for text != "" {
		switch text[0] {
		case '\\':
			c, n, err := unescape(text)
			if err != nil {
				return "", err
			}
			out.WriteByte(c)
			text = text[n:]
		case '{':
			m := inBraces.FindStringSubmatch(text)
			if m == nil {
				return "", fmt.Errorf("%q has no }; a brace is \\{", text)
			}
			inner, err := braces(m[1], kept)
			if err != nil {
				return "", err
			}
			out.WriteString(inner)
			text = text[len(m[0]):]
		default:
			out.WriteByte(text[0])
			text = text[1:]
		}
	}
	return out.String(), nil
}

// braces returns what stands for the text between { and }.
func braces(text string, kept map[string]string) (string, error) {
	if m := repetition.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return "", err
		}
		unit, err := expand(m[1], kept)
		return strings.Repeat(unit, n), err
	}
	value, ok := kept[text]
	if !ok {
		return "", fmt.Errorf("nothing was kept as {%s}; a brace is \\{", text)
	}
	return value, nil
}

// unescape reads the escape that text begins with, and returns its length.
func unescape(text string) (c byte, n int, err error) {
	if len(text) < 2 {
		return 0, 0, fmt.Errorf(`a \ at the end; a backslash is \\`)
	}
	switch text[1] {
	case 'r':
		return '\r', 2, nil
	case 'n':
		return '\n', 2, nil
	case 't':
		return '\t', 2, nil
	case '0':
		return 0, 2, nil
	case '\\', '{', '}':
		return text[1], 2, nil
	case 'x':
		if len(text) >= 4 {
			if v, err := strconv.ParseUint(text[2:4], 16, 8); err == nil {
				return byte(v), 4, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("%.4q is not an escape", text)
}

func TestExpand(t *testing.T) {
	kept := map[string]string{"etag": `"x"`}
	for _, bad := range []string{`\`, `\q`, `\x1`, `\xzz`, `{`, `{none}`, `{\q*2}`} {
		if got, err := expand(bad, kept); err == nil {
			t.Errorf("%s is taken for %q", bad, got)
		}
	}
	for text, want := range map[string]string{
		`a\r\n\t\0\\\{`: "a\r\n\t\x00\\{", `\xff`: "\xff", `{ab*3}c`: "abababc", `{\n*2}`: "\n\n", `{\{\}*2}`: "{}{}", `{etag}, {etag}`: `"x", "x"`,
	} {
		if got, err := expand(text, kept); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}
