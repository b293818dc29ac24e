package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
)

// maxMistakes is when reading stops: a file that is not a configuration at all need not be reported whole.
const maxMistakes = 100

// decoder is the state of reading one file.
type decoder struct {
	name     string
	text     []byte
	mistakes Mistakes
}

func (d *decoder) full() bool { return len(d.mistakes) >= maxMistakes }

func (d *decoder) fail(offset int, field, text string) {
	if d.full() {
		return
	}
	line, column := position(d.text, offset)
	d.mistakes = append(d.mistakes, Mistake{File: d.name, Line: line, Column: column, Field: field, Text: text})
	if d.full() {
		d.mistakes = append(d.mistakes, Mistake{File: d.name, Line: line, Column: column, Text: "too many mistakes; the rest of the file is not checked"})
	}
}

// node is one value of the file (or one name, to say what is wrong with it) and its place.
type node struct {
	d     *decoder
	path  string
	value hujson.Value
}

func (n node) fail(format string, args ...any) {
	n.d.fail(n.value.StartOffset, n.path, fmt.Sprintf(format, args...))
}

// wrongType reports a value of a wrong type.
func (n node) wrongType(want, example string) {
	if n.value.Value.Kind() == 'n' {
		n.fail("null is not a value; leave the setting out to have its default, or write %s such as %s", want, example)
		return
	}
	n.fail("expected %s such as %s, not %s", want, example, describe(n.value))
}

func describe(v hujson.Value) string {
	switch v := v.Value.(type) {
	case *hujson.Object:
		return "an object"
	case *hujson.Array:
		return "a list"
	case hujson.Literal:
		switch v.Kind() {
		case '"':
			return "the text " + quote(v.String())
		case '0':
			return "the number " + short(string(v))
		}
		return string(v) // true, false, null
	}
	return "this"
}

// keys maps the names that an object may have to the readers of their values.
type keys map[string]func(node)

// object reads the members of an object. required names those that must be there.
func (n node) object(example string, known keys, required ...string) {
	obj, ok := n.value.Value.(*hujson.Object)
	if !ok {
		n.wrongType("an object", example)
		return
	}
	lines := make(map[string]int, len(obj.Members))
	for _, m := range obj.Members {
		if n.d.full() {
			return
		}
		key := m.Name.Value.(hujson.Literal).String()
		name := node{n.d, joinPath(n.path, key), m.Name}
		if first, twice := lines[key]; twice {
			name.fail("set twice, first in line %d; keep one", first)
			continue
		}
		lines[key], _ = position(n.d.text, m.Name.StartOffset)
		read, ok := known[key]
		if !ok {
			name.fail("unknown setting; %s", suggest(key, known))
			continue
		}
		read(node{n.d, name.path, m.Value})
	}
	for _, key := range required {
		if _, ok := lines[key]; !ok {
			n.fail("%q is missing; write %s", key, example)
		}
	}
}

// joinPath appends a name to a path; names that no setting could have are quoted.
func joinPath(path, key string) string {
	odd := func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	switch {
	case key == "" || len(key) > maxShown || strings.ContainsFunc(key, odd):
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// list returns a reader of a list, whose elements are read one by one.
func list[T any](dst *[]T, example string, read func(node, *T)) func(node) {
	return func(n node) {
		arr, ok := n.value.Value.(*hujson.Array)
		if !ok {
			n.wrongType("a list", example)
			return
		}
		out := make([]T, len(arr.Elements))
		for i := range arr.Elements {
			read(node{n.d, n.path + "[" + strconv.Itoa(i) + "]", arr.Elements[i]}, &out[i])
		}
		*dst = out
	}
}

// texts returns a reader of a list of strings that parse accepts.
func texts(dst *[]string, example string, parse func(string) (string, error)) func(node) {
	return list(dst, "["+example+"]", func(n node, s *string) { text(s, example, parse)(n) })
}

// text returns a reader of a JSON string; parse makes it a value or says what is wrong.
func text[T any](dst *T, example string, parse func(string) (T, error)) func(node) {
	return scalar(dst, `"`, "text", example, parse)
}

// scalar returns a reader of strings, numbers or both, as in kinds.
func scalar[T any](dst *T, kinds, want, example string, parse func(string) (T, error)) func(node) {
	return func(n node) {
		literal, ok := n.value.Value.(hujson.Literal)
		if !ok || !strings.ContainsRune(kinds, rune(literal.Kind())) {
			n.wrongType(want, example)
			return
		}
		v, err := parse(literal.String())
		if err != nil {
			n.fail("%v", err)
			return
		}
		*dst = v
	}
}

// choice returns a reader of one of the words that stand for the values of T.
func choice[T any](dst *T, words map[string]T) func(node) {
	all := sortedKeys(words)
	for i := range all {
		all[i] = strconv.Quote(all[i])
	}
	return text(dst, all[0], func(s string) (T, error) {
		v, ok := words[s]
		if !ok {
			return v, fmt.Errorf("%s is not one of %s", quote(s), strings.Join(all, ", "))
		}
		return v, nil
	})
}

// words returns a reader of one of the words that stand for themselves.
func words(dst *string, all ...string) func(node) {
	same := make(map[string]string, len(all))
	for _, w := range all {
		same[w] = w
	}
	return choice(dst, same)
}

// flag returns a reader of true or false.
func flag(dst *bool) func(node) {
	return scalar(dst, "tf", "a switch", "true", func(s string) (bool, error) { return s == "true", nil })
}

func sortedKeys[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// maxShown is how many characters of a value a message repeats.
const maxShown = 60

// short cuts what a message repeats.
func short(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

// quote is short in double quotes, on one line whatever s holds.
func quote(s string) string { return strconv.Quote(short(s)) }
