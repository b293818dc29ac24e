package config

import (
	"errors"
	"strings"
	"testing"
)

// mistakesIn parses text as the file ramjet.json, which must fail, and returns its lines without the name of the file.
func mistakesIn(t *testing.T, text string) string {
	t.Helper()
	c, err := Parse("ramjet.json", []byte(text))
	if err == nil {
		t.Fatalf("parsed:\n%s", text)
	}
	if c != nil {
		t.Error("a configuration and an error")
	}
	var ms Mistakes
	if !errors.As(err, &ms) {
		t.Fatalf("error is a %T", err)
	}
	var out []string
	for line := range strings.Lines(err.Error()) {
		rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ramjet.json:")
		if !ok {
			t.Errorf("a line without the name of the file: %q", line)
		}
		out = append(out, rest)
	}
	return strings.Join(out, "\n")
}

func TestSyntaxMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"not an object", `["listen"]`, `1:1: expected an object such as {"listen": ":8080"}, not a list`},
		{"text alone", `":80"`, `1:1: expected an object such as {"listen": ":8080"}, not the text ":80"`},
		{"null alone", `null`, `1:1: null is not a value; leave the setting out to have its default, or write an object such as {"listen": ":8080"}`},
		{"two values", "{}\n{}", `2:1: invalid character '{' after top-level value`},
		{"open object", "// x\n {\"listen\": \":80\"", `2:2: this '{' is never closed`},
		{"open list", "{\"content\": {\"index\": [", `1:23: this '[' is never closed`},
		{"crossed brackets", "{\"backends\": [\n}", `2:1: '}' does not close the '[' of line 1`},
		{"closed twice", "{}\n}", `2:1: '}' closes nothing`},
		{"open text", "{\"listen\": \":80,\n\"server\": \"x\"}", `1:12: this text has no end; close it with " on the same line`},
		{"open comment", "{}\n/* and so on", `2:1: this comment has no end; close it with */`},
		{"missing comma", "{\"listen\": \":80\"\n \"server\": \"\"}", `2:2: invalid character '"' after object value (expecting ',' or '}')`},
		{"missing colon", `{"listen" ":80"}`, `1:11: invalid character '"' after object name`},
		{"two commas", `{"listen": ":80",,}`, `1:18: invalid character ',' at start of value`},
		{"bare name", `{listen: ":80"}`, `1:2: bare word listen; text belongs in double quotes: "listen"`},
		{"bare value", `{"log_level": debug}`, `1:15: bare word debug; text belongs in double quotes: "debug"`},
		{"single quotes", `{'listen': ":80"}`, `1:2: invalid character '\'' at start of value`},
		{"number as name", `{80: ":80"}`, `1:2: invalid character '8' at start of object name`},
		{"octal number", `{"rules": {"perm_required": 0004}}`, `1:29: bad number 0004; anything but plain digits belongs in double quotes`},
		{"number with unit", `{"content": {"memory": 64MiB}}`, `1:24: bad number 64MiB; anything but plain digits belongs in double quotes`},
		{"bad escape", `{"content": {"root": "C:\www"}}`, `1:22: bad text "C:\\www"; write \\ for a backslash, \t for a tab, \u0000 for a character by its number`},
		{"tab in text", "{\"server\": \"a\tb\"}", `1:12: bad text "a\tb"; write \\ for a backslash, \t for a tab, \u0000 for a character by its number`},
		{"after wide characters", "{/* äöü */ \"ä\": 1}", `1:12: ["ä"]: unknown setting; known here: access_log, admin, backends, content, dns, ejection, eventloop, forward, health, limits, listen, log_level, pools, proxy_protocol_from, routes, rules, server`},
		{"after a byte order mark", "\uFEFF{\"listen\": 1}", `1:12: listen: expected text such as ":8080", not the number 1`},
		{"UTF-16", "\xff\xfe{\x00}\x00", `1:1: not UTF-8 text; save the file as UTF-8`},
		{"Latin-1", "{\n// caf\xe9\n}", `2:7: not UTF-8 text; save the file as UTF-8`},
		{"NUL", "\x00", `1:1: invalid character '\u0000' at start of value`},
		{"line separator in a comment", "{// a\u2028b\n}", `1:6: invalid character '\u2028' in line comment`},
		{"deep", strings.Repeat("[", 1<<19), `1:17: nested more than 16 deep`},
		{"deep objects", strings.Repeat(`{"a":`, 1<<17), `1:81: nested more than 16 deep`},
		{"huge", strings.Repeat(" ", MaxFile+1), `1:1: the file is larger than 1MiB`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mistakesIn(t, tt.text); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestNameAndTypeMistakes(t *testing.T) {
	const topLevel = "known here: access_log, admin, backends, content, dns, ejection, eventloop, forward, health, limits, listen, log_level, pools, proxy_protocol_from, routes, rules, server"
	for _, tt := range []struct{ name, text, want string }{
		{"typing error", `{"listn": ":80"}`, `1:2: listn: unknown setting; did you mean "listen"?`},
		{"wrong case", `{"Listen": ":80"}`, `1:2: Listen: unknown setting; did you mean "listen"?`},
		{"plural", "{\n\t\"backend\": []}", `2:2: backend: unknown setting; did you mean "backends"?`},
		{"nothing near", `{"threads": 2}`, `1:2: threads: unknown setting; ` + topLevel},
		{"empty name", `{"": 2}`, `1:2: [""]: unknown setting; ` + topLevel},
		{"very long name", `{"` + strings.Repeat("x", 99) + `": 2}`, `1:2: ["` + strings.Repeat("x", 60) + `…"]: unknown setting; ` + topLevel},
		{"line end in a name", `{"a\nb": 2}`, `1:2: ["a\nb"]: unknown setting; ` + topLevel},
		{"section forgotten", `{"root": "/x"}`, `1:2: root: unknown setting; write "root" inside "content"`},
		{"section with a dot", `{"limits.head_time": "1s"}`, `1:2: ["limits.head_time"]: unknown setting; write "head_time" inside "limits"`},
		{"section too much", `{"content": {"listen": "/x"}}`, `1:14: content.listen: unknown setting; write "listen" at the top level`},
		{"twice", "{\"server\": \"a\",\n\"server\": \"b\"}", `2:1: server: set twice, first in line 1; keep one`},
		{"twice by escape", `{"server": "a", "\u0073erver": "b"}`, `1:17: server: set twice, first in line 1; keep one`},
		{"number for text", `{"listen": 80}`, `1:12: listen: expected text such as ":8080", not the number 80`},
		{"true for text", `{"rules": {"query": true}}`, `1:21: rules.query: expected text such as "forward", not true`},
		{"list for text", `{"server": []}`, `1:12: server: expected text such as "ramjet", not a list`},
		{"object for text", `{"server": {}}`, `1:12: server: expected text such as "ramjet", not an object`},
		{"text for list", `{"content": {"index": "index.html"}}`, `1:23: content.index: expected a list such as ["index.html"], not the text "index.html"`},
		{"text for number", `{"limits": {"connections": "99"}}`, `1:28: limits.connections: expected a whole number such as 10000, not the text "99"`},
		{"list for object", `{"limits": []}`, `1:12: limits: expected an object such as {"head_bytes": "32KiB"}, not a list`},
		{"list for types", `{"content": {"types": []}}`, `1:23: content.types: expected an object such as {".wasm": "application/wasm"}, not a list`},
		{"null", `{"admin": null}`, `1:11: admin: null is not a value; leave the setting out to have its default, or write text such as "/run/ramjet/accelerator.sock"`},
		{"null in a list", `{"backends": [null]}`, `1:15: backends[0]: null is not a value; leave the setting out to have its default, or write an object such as {"url": "http://10.0.0.2:8000"}`},
		{"text in a list of objects", `{"backends": ["http://a"]}`, `1:15: backends[0]: expected an object such as {"url": "http://10.0.0.2:8000"}, not the text "http://a"`},
		{"number for time", `{"limits": {"head_time": 10}}`, `1:26: limits.head_time: expected text such as "10s", not the number 10`},
		{"member missing", `{"content": {"cache_control": [{"match": "/"}]}}`, `1:32: content.cache_control[0]: "value" is missing; write {"match": "/assets/**", "value": "public, max-age=3600"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mistakesIn(t, tt.text); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	const text = `{
	"listen": 80,
	"backends": [
		{"url": "http://10.0.0.2:8000"},
		{"url": "htp://10.0.0.3:8000"},
		{},
	],
	"content": {"memory": "half", "settle": "1ms"}, // two here
	"limit": {},
}`
	const want = `2:12: listen: expected text such as ":8080", not the number 80
5:11: backends[1].url: scheme "htp" is not one of http, https, unix, http+srv, https+srv
6:3: backends[2]: "url" is missing; write {"url": "http://10.0.0.2:8000"}
8:24: content.memory: "half" is not a size; write digits and B, KB, MB, GB, KiB, MiB or GiB, such as "64KiB"
8:42: content.settle: "1ms" is out of range; it can be 50ms to 10s
9:2: limit: unknown setting; did you mean "limits"?`
	if got := mistakesIn(t, text); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A file of nothing but mistakes is reported in time linear in its size, and not without end.
func TestTooManyMistakes(t *testing.T) {
	text := "{" + strings.Repeat(`"x":1,`, (MaxFile-2)/6) + "}"
	lines := strings.Split(mistakesIn(t, text), "\n")
	if len(lines) != maxMistakes+1 {
		t.Fatalf("%d lines", len(lines))
	}
	if last := lines[maxMistakes]; !strings.HasSuffix(last, ": too many mistakes; the rest of the file is not checked") {
		t.Errorf("last line: %s", last)
	}
}
