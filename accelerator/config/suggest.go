package config

import (
	"fmt"
	"strings"
)

// suggest says what may have been meant by a name that known does not have.
func suggest(key string, known keys) string {
	for _, s := range Settings() {
		section, last, inSection := strings.Cut(s.Name, ".")
		switch {
		case inSection && (key == last || key == s.Name):
			return fmt.Sprintf("write %q inside %q", last, section)
		case key == s.Name:
			return fmt.Sprintf("write %q at the top level", key)
		}
	}
	names := sortedKeys(known)
	best, least := "", 3 // three typing errors and more are another word
	for _, name := range names {
		if len(key) > maxShown {
			break
		}
		if d := distance(strings.ToLower(key), name); d < least && d <= max(1, len(name)/3) {
			best, least = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known here: " + strings.Join(names, ", ")
}

// distance is the Levenshtein distance: how many bytes to add, drop or change to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
