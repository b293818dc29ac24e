package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// The farm is the part of a configuration that can be changed while the program runs: who is behind, and how requests get
// there. As text it is an object of these sections, in JSON, with what was written and not what is the default. Paths in it
// are absolute, so that it means the same wherever it is kept.

// farmSections are the names of its sections, in the order in which they are shown, and how an empty one is written.
var farmSections = []struct{ name, empty string }{
	{"backends", "[]"}, {"forward", "{}"}, {"health", "{}"}, {"ejection", "{}"}, {"pools", "{}"}, {"routes", "[]"}, {"dns", "{}"},
}

// Farm returns the farm of a configuration file of that name. An error is of the type Mistakes, and there is none in a text
// that Parse accepts.
func Farm(name string, text []byte) ([]byte, error) {
	root, err := decode(name, text, func(n node) { n.wantObject() })
	if err != nil {
		return nil, err
	}
	return farmText(root, filepath.Dir(name)), nil
}

// WithFarm returns a copy of c that has the farm of text in the place of its own, and that farm in its usual form. The name
// is used in messages, and relative paths count from the folder. An error is of the type Mistakes.
func (c *Config) WithFarm(name, folder string, text []byte) (*Config, []byte, error) {
	out, empty := *c, Default()
	out.Backends, out.Forward, out.Health, out.Ejection = empty.Backends, empty.Forward, empty.Health, empty.Ejection
	out.Pools, out.Routes, out.DNS = empty.Pools, empty.Routes, empty.DNS
	var farm []byte
	_, err := decode(name, text, func(n node) {
		known, finish := out.farmKeys(folder)
		n.withoutOthers(known).object(`{"backends": [`+exampleBackend+`]}`, known)
		finish()
		if len(n.d.mistakes) > 0 {
			return
		}
		if farm = farmText(&n.value, folder); len(farm) > MaxFile {
			n.fail("written out it is larger than %s", formatSize(MaxFile)) // It could not be read again.
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if farm == nil { // Nothing but comments.
		farm = farmText(nil, folder)
	}
	return &out, farm, nil
}

// withoutOthers reports settings that there are, but not of the farm, and returns the object without them.
func (n node) withoutOthers(farm keys) node {
	obj, ok := n.value.Value.(*hujson.Object)
	if !ok {
		return n
	}
	all := map[string]bool{}
	for _, s := range Settings() {
		section, _, _ := strings.Cut(s.Name, ".")
		all[section] = true
	}
	kept := &hujson.Object{}
	for _, m := range obj.Members {
		key := m.Name.Value.(hujson.Literal).String()
		if _, ok := farm[key]; !ok && all[key] {
			node{n.d, key, m.Name}.fail("not a part of the farm; set it in the configuration file")
			continue
		}
		kept.Members = append(kept.Members, m)
	}
	n.value.Value = kept
	return n
}

func (n node) wantObject() (obj *hujson.Object, ok bool) {
	obj, ok = n.value.Value.(*hujson.Object)
	if !ok {
		n.wrongType("an object", `{"backends": [`+exampleBackend+`]}`)
	}
	return obj, ok
}

// farmText writes the sections of an object, all of them and nothing else.
func farmText(root *hujson.Value, folder string) []byte {
	var from, to hujson.Object
	if root != nil {
		from = *root.Clone().Value.(*hujson.Object)
	}
	for _, section := range farmSections {
		value := member(&from, section.name)
		if value == nil {
			value = &hujson.Value{Value: parseEmpty(section.empty)}
		}
		to.Members = append(to.Members, hujson.ObjectMember{Name: hujson.Value{Value: hujson.String(section.name)}, Value: *value})
	}
	completePaths(&to, folder)
	pools, _ := member(&to, "pools").Value.(*hujson.Object)
	for i := 0; pools != nil && i < len(pools.Members); i++ {
		if pool, ok := pools.Members[i].Value.Value.(*hujson.Object); ok {
			completePaths(pool, folder)
		}
	}
	all := hujson.Value{Value: &to}
	all.Minimize() // Comments and trailing commas go.
	var out bytes.Buffer
	if err := json.Indent(&out, all.Pack(), "", "  "); err != nil {
		panic(err) // The parser has seen it.
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func parseEmpty(text string) hujson.ValueTrimmed {
	if text == "[]" {
		return &hujson.Array{}
	}
	return &hujson.Object{}
}

// member returns the value of that name, or nil.
func member(obj *hujson.Object, name string) *hujson.Value {
	for i := range obj.Members {
		if obj.Members[i].Name.Value.(hujson.Literal).String() == name {
			return &obj.Members[i].Value
		}
	}
	return nil
}

// completePaths makes the paths in forward.tls absolute, the only ones of a farm that may be relative.
func completePaths(section *hujson.Object, folder string) {
	for _, name := range []string{"forward", "tls"} {
		value := member(section, name)
		if value == nil {
			return
		}
		var ok bool
		if section, ok = value.Value.(*hujson.Object); !ok {
			return
		}
	}
	for _, name := range []string{"ca", "certificate", "key"} {
		value := member(section, name)
		if value == nil {
			continue
		}
		if literal, ok := value.Value.(hujson.Literal); ok && literal.Kind() == '"' && literal.String() != "" {
			if path := literal.String(); !filepath.IsAbs(path) {
				if absolute, err := filepath.Abs(filepath.Join(folder, path)); err == nil {
					value.Value = hujson.String(absolute)
				}
			}
		}
	}
}

// MergeFarm returns the farm as a JSON merge patch changes it (RFC 7396). Whether the result is a farm is for WithFarm to say;
// an error is of the type Mistakes, and about the patch, which has that name.
func MergeFarm(farm []byte, name string, patch []byte) ([]byte, error) {
	now, wrong := parseTree(farm)
	if wrong != nil {
		return nil, fmt.Errorf("the farm that is there: %w", wrong)
	}
	change, err := decode(name, patch, func(n node) {
		if obj, ok := n.wantObject(); ok {
			n.eachOnce(obj)
		}
	})
	if err != nil {
		return nil, err
	}
	if change != nil {
		*now = merge(now, change)
	}
	now.Minimize()
	var out bytes.Buffer
	if err := json.Indent(&out, now.Pack(), "", "  "); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// eachOnce reports names that are there twice in an object, or in one inside of it: which of them counts?
func (n node) eachOnce(obj *hujson.Object) {
	seen := map[string]bool{}
	for _, m := range obj.Members {
		key := m.Name.Value.(hujson.Literal).String()
		name := node{n.d, joinPath(n.path, key), m.Name}
		if seen[key] {
			name.fail("set twice; keep one")
		}
		seen[key] = true
		if inner, ok := m.Value.Value.(*hujson.Object); ok {
			name.eachOnce(inner)
		}
	}
}

// merge is MergePatch of RFC 7396 §2. Target may be nil. What stays keeps its place.
func merge(target, patch *hujson.Value) hujson.Value {
	changes, ok := patch.Value.(*hujson.Object)
	if !ok {
		return hujson.Value{Value: patch.Value}
	}
	out := &hujson.Object{}
	if target != nil {
		if was, ok := target.Value.(*hujson.Object); ok {
			out.Members = slices.Clone(was.Members)
		}
	}
	places := make(map[string]int, len(out.Members))
	for i := range out.Members {
		places[out.Members[i].Name.Value.(hujson.Literal).String()] = i
	}
	removed := map[int]bool{}
	for _, m := range changes.Members {
		place, there := places[m.Name.Value.(hujson.Literal).String()]
		switch {
		case m.Value.Value.Kind() == 'n' && there:
			removed[place] = true
		case m.Value.Value.Kind() == 'n':
		case there:
			out.Members[place].Value = merge(&out.Members[place].Value, &m.Value)
		default:
			out.Members = append(out.Members, hujson.ObjectMember{Name: hujson.Value{Value: m.Name.Value}, Value: merge(nil, &m.Value)})
		}
	}
	kept := out.Members[:0]
	for i, m := range out.Members {
		if !removed[i] {
			kept = append(kept, m)
		}
	}
	out.Members = kept
	return hujson.Value{Value: out}
}
