package content

import (
	"regexp"
	"strings"
)

// Pattern matches decoded paths: a glob over the whole path if it holds * or ?,
// else a substring. In a glob * and ? stand for characters of one segment, **
// for any characters, slashes included. Matching takes linear time.
type Pattern struct {
	text string
	glob *regexp.Regexp // nil for a substring
}

// NewPattern makes a Pattern. Every string is one.
func NewPattern(text string) Pattern {
	if !strings.ContainsAny(text, "*?") {
		return Pattern{text: text}
	}
	return Pattern{text, compileGlob(text)}
}

// NewGlob makes a Pattern that matches the whole path even without * or ?.
func NewGlob(text string) Pattern { return Pattern{text, compileGlob(text)} }

// NewPatterns makes a Pattern of each text.
func NewPatterns(texts []string) []Pattern {
	patterns := make([]Pattern, len(texts))
	for i, text := range texts {
		patterns[i] = NewPattern(text)
	}
	return patterns
}

// Match tells whether the path matches.
func (p Pattern) Match(path string) bool {
	if p.glob == nil {
		return strings.Contains(path, p.text)
	}
	return p.glob.MatchString(path)
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

var globSyntax = strings.NewReplacer(`\*\*`, `.*`, `\*`, `[^/]*`, `\?`, `[^/]`)

func compileGlob(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)\A` + globSyntax.Replace(regexp.QuoteMeta(text)) + `\z`)
}
