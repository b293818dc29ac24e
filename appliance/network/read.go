package network

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// reader reads values strictly and collects what is wrong.
type reader struct {
	name     string
	text     []byte
	mistakes []string
}

type fields map[string]func(v hujson.Value, path string)

// maxMistakes are told at a time.
const maxMistakes = 50

func (r *reader) fail(offset int, path, format string, args ...any) {
	if len(r.mistakes) >= maxMistakes {
		return
	}
	before := r.text[:min(offset, len(r.text))]
	start := bytes.LastIndexByte(before, '\n') + 1
	at := fmt.Sprintf("%s:%d:%d: ", r.name, 1+bytes.Count(before, []byte("\n")), 1+utf8.RuneCount(before[start:]))
	if path != "" {
		at += path + ": "
	}
	r.mistakes = append(r.mistakes, at+fmt.Sprintf(format, args...))
}

// syntax puts the parser's error in the form of the others.
func (r *reader) syntax(err error) error {
	var line, column int
	if _, scanErr := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &line, &column); scanErr != nil {
		return fmt.Errorf("%s:1:1: %w", r.name, err)
	}
	_, why, _ := strings.Cut(err.Error(), "column "+strconv.Itoa(column)+": ")
	return fmt.Errorf("%s:%d:%d: %s", r.name, line, column, why)
}

// members calls each for the members of an object.
func (r *reader) members(v hujson.Value, path string, each func(name string, at int, v hujson.Value, path string)) {
	o, is := v.Value.(*hujson.Object)
	if !is {
		r.fail(v.StartOffset, path, "expected an object: { }")
		return
	}
	seen := map[string]bool{}
	for _, m := range o.Members {
		name := m.Name.Value.(hujson.Literal).String()
		at := strings.TrimPrefix(path+"."+name, ".")
		if seen[name] {
			r.fail(m.Name.StartOffset, at, "is there twice; keep one")
			continue
		}
		seen[name] = true
		each(name, m.Name.StartOffset, m.Value, at)
	}
}

func (r *reader) object(v hujson.Value, path string, known fields) {
	r.members(v, path, func(name string, at int, v hujson.Value, path string) {
		if read := known[name]; read != nil {
			read(v, path)
			return
		}
		r.fail(at, path, "unknown setting; one of %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	})
}

func (r *reader) list(v hujson.Value, path string, most int, each func(v hujson.Value, path string)) {
	a, is := v.Value.(*hujson.Array)
	if !is || len(a.Elements) > most {
		r.fail(v.StartOffset, path, "expected a list of at most %d: [ ]", most)
		return
	}
	for i, e := range a.Elements {
		each(e, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (r *reader) str(v hujson.Value, path string) string {
	l, is := v.Value.(hujson.Literal)
	if !is || l.Kind() != '"' {
		r.fail(v.StartOffset, path, "expected text in quotes")
		return ""
	}
	return l.String()
}

func (r *reader) flag(v hujson.Value, path string) bool {
	l, is := v.Value.(hujson.Literal)
	if !is || l.Kind() != 't' && l.Kind() != 'f' {
		r.fail(v.StartOffset, path, "expected true or false")
		return false
	}
	return l.Bool()
}

func (r *reader) number(v hujson.Value, path string, least, most int) int {
	l, is := v.Value.(hujson.Literal)
	n, err := strconv.Atoi(string(l))
	if !is || err != nil || n < least || n > most {
		r.fail(v.StartOffset, path, "expected a number from %d to %d", least, most)
		return 0
	}
	return n
}

func (r *reader) address(v hujson.Value, path string) (netip.Addr, bool) {
	text := r.str(v, path)
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() {
		r.fail(v.StartOffset, path, "%q is no address of a machine", text)
		return a, false
	}
	return a, true
}
