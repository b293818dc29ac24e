package command

import (
	"strings"
	"testing"
)

func TestSetMistakes(t *testing.T) {
	for _, test := range []struct{ text, key, want string }{
		{"{", "a", "cannot be read"},
		{"{}", "", "a key is"},
		{"{}", "a..b", "a key is"},
		{`{"a": 1}`, "a.b", "a.b"},
		{`{"a": []}`, "a.x", "a.x"},
	} {
		if out, err := Set([]byte(test.text), test.key, "1"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s in %s: %s, %v", test.key, test.text, out, err)
		}
	}
	if _, err := Unset([]byte("{}"), "a"); err == nil || !strings.Contains(err.Error(), "a is not set") {
		t.Error(err)
	}
}

func TestSet(t *testing.T) {
	const text = "// mine\n{\n  // why\n  \"a\": 1,\n  \"b\": {\"c\": [1, 2]},\n}\n"
	for _, test := range []struct{ text, key, value, want string }{
		{"", "server", "ramjet", "{\"server\": \"ramjet\"}\n"},
		{"// nothing yet", "server", "x", "// nothing yet\n{\"server\":\"x\"}"},
		{"// note\n{}\n", "listen", ":81", "\"listen\": \":81\""},
		{text, "a", "2", strings.Replace(text, `"a": 1`, `"a": 2`, 1)},
		{text, "a", `"2"`, strings.Replace(text, `"a": 1`, `"a": "2"`, 1)},
		{text, "a", "true story", strings.Replace(text, `"a": 1`, `"a": "true story"`, 1)},
		{text, "b.c.1", "[3,]", strings.Replace(text, `2]`, `[3]]`, 1)},
		{text, "/b/c/0", "{}", strings.Replace(text, `[1,`, `[{},`, 1)},
		{text, "d.e.f", "10s", `"e":{"f":"10s"}`},
		{`{"types": {}}`, "/types/.wasm", "x/y", `".wasm":"x/y"`},
	} {
		out, err := Set([]byte(test.text), test.key, test.value)
		if err != nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%s = %s: %v\n%s", test.key, test.value, err, out)
		}
	}
	out, err := Unset([]byte(text), "b")
	if err != nil || strings.Contains(string(out), `"c"`) || !strings.Contains(string(out), "// why") {
		t.Errorf("%s, %v", out, err)
	}
}
