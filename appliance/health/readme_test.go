package health

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The README has the table of checks, and nothing else in it.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Healthy\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows strings.Builder
	for _, row := range Checks {
		fmt.Fprintf(&rows, "| `%s` | %d | %s | %s |\n", row.Name, row.Weight, row.Text, map[bool]string{true: "yes", false: "no"}[row.Relative])
	}
	if !found || !strings.Contains(section, "|---|---|---|---|\n"+rows.String()+"\n") {
		t.Errorf("the table of checks should be\n%s", &rows)
	}
}
