package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"ramjet/appliance/api"
	"ramjet/appliance/network"
)

// The tables of the README about flags and exit statuses name what the program has, and nothing else.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Flags and exit statuses\n")
	if !found {
		t.Fatal("no section about flags and exit statuses")
	}
	help, _ := program(t.Context(), "-h").CombinedOutput()
	flags := regexp.MustCompile(`(?m)^  (-[a-z]+)`).FindAllSubmatch(help, -1)
	rows := regexp.MustCompile("(?m)^\\| `(-[a-z]+)` \\| (?:`([^`]*)` )?\\|").FindAllStringSubmatch(section, -1)
	if len(flags) == 0 || len(flags) != len(rows) {
		t.Errorf("%d flags, %d rows", len(flags), len(rows))
	}
	for _, row := range rows {
		if name, value := row[1], row[2]; !strings.Contains(string(help), "  "+name) ||
			value != "" && !strings.Contains(string(help), `(default "`+value+`")`) {
			t.Errorf("the program has no flag %s with default %q:\n%s", name, value, help)
		}
	}
	_, section, found = strings.Cut(string(text), "\n## The API\n")
	for _, c := range api.Calls() {
		if scope := map[string]string{"SETTING": "its name"}[c.Scope]; !found || strings.Count(section, "\n| `"+c.Method+" "+c.Path+"` | "+cmp.Or(scope, "`"+c.Scope+"`")+" |") != 1 {
			t.Errorf("no row for %s %s with the scope %s", c.Method, c.Path, c.Scope)
		}
	}
	if rows := regexp.MustCompile("(?m)^\\| `[A-Z]+ /").FindAllString(section, -1); len(rows) != len(api.Calls()) {
		t.Errorf("%d calls, %d rows", len(api.Calls()), len(rows))
	}
	_, section, found = strings.Cut(string(text), "\n## The network\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for prefix, wrong := range map[string]string{"": `{"x": 1}`, "interfaces.*.": `{"interfaces": {"eth0": {"dhcp": true, "x": 1}}}`} {
		_, err := network.Parse("n.json", []byte(wrong))
		_, known, ok := strings.Cut(fmt.Sprint(err), "one of ")
		for name := range strings.SplitSeq(known, ", ") {
			if !found || !ok || strings.Count(section, "\n| `"+prefix+name+"` |") != 1 {
				t.Errorf("no row for the setting %s%s of the network", prefix, name)
			}
		}
	}
	if rows := strings.Count(section, "\n| `"); rows != 9 {
		t.Errorf("%d rows of settings of the network", rows)
	}
	_, section, _ = strings.Cut(string(text), "\n## Flags and exit statuses\n")
	for _, status := range []string{"| 0 |", "| 1 |", "| 2 |", "| 143 |"} {
		if strings.Count(section, "\n"+status) != 1 {
			t.Errorf("no row %q", status)
		}
	}
}
