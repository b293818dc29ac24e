package config

import (
	"strings"

	"github.com/tailscale/hujson"
)

// Setting is one setting as the reference file describes it, for documentation and its tests.
type Setting struct {
	Name    string // path in the file, such as content.memory
	Default string // as JSON
	Text    string // what it means, one paragraph
	Example string // a member of its section as JSON, with another value than the default
}

// Settings returns all settings in the order of the reference file.
func Settings() []Setting {
	root, err := parseTree(Reference)
	if err != nil {
		panic(err) // see Default
	}
	return walk(nil, "", root.Value.(*hujson.Object))
}

func walk(out []Setting, prefix string, obj *hujson.Object) []Setting {
	for _, m := range obj.Members {
		name := prefix + m.Name.Value.(hujson.Literal).String()
		if section, ok := m.Value.Value.(*hujson.Object); ok && len(section.Members) > 0 {
			out = walk(out, name+".", section)
			continue
		}
		s := Setting{Name: name, Default: string(Reference[m.Value.StartOffset:m.Value.EndOffset])}
		s.Text, s.Example = readComment(string(m.Name.BeforeExtra))
		out = append(out, s)
	}
	return out
}

// readComment parts the line comments above a setting into the text and the example, which is set off by four spaces more.
func readComment(extra string) (text, example string) {
	var words, code []string
	for line := range strings.Lines(extra) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "//")
		if !ok {
			continue
		}
		if indented, ok := strings.CutPrefix(line, "     "); ok {
			code = append(code, indented)
		} else {
			words = append(words, strings.TrimSpace(line))
		}
	}
	return strings.Join(words, " "), strings.Join(code, "\n")
}
