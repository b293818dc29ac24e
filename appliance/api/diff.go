package api

import (
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// maxLines bounds the work: comparing takes time that grows with the square of the lines that differ.
const maxLines = 5000

// unified is what changes from old to text, as diff -u shows it.
func unified(name string, old, text []byte) string {
	a, b := lines(old), lines(text)
	if len(a) > maxLines || len(b) > maxLines {
		return "(too long to be compared here)\n"
	}
	diff, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: a, B: b, FromFile: name + " as it is", ToFile: name + " as it would be", Context: 3})
	if err != nil {
		return "(" + err.Error() + ")\n"
	}
	return diff
}

func lines(text []byte) []string {
	var all []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			line += "\n\\ No newline at end of file\n"
		}
		all = append(all, line)
	}
	return all
}
