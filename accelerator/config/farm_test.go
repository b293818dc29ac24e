package config

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What cannot be a farm, and what is said of it.
func TestFarmMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"not an object", `[]`, `farm:1:1: expected an object such as {"backends": [{"url": "http://10.0.0.2:8000"}]}, not a list`},
		{"not JSON", `{`, `farm:1:1: this '{' is never closed`},
		{"not of the farm", `{"listen": ":80"}`, `farm:1:2: listen: not a part of the farm; set it in the configuration file`},
		{"a section of others", `{"limits": {}}`, `farm:1:2: limits: not a part of the farm; set it in the configuration file`},
		{"typing error", `{"backend": []}`, `farm:1:2: backend: unknown setting; did you mean "backends"?`},
		{"nothing near", `{"x": []}`, `farm:1:2: x: unknown setting; known here: backends, dns, ejection, forward, health, pools, routes`},
		{"several", "{\"backends\": [{\"url\": \"htp://a\"}],\n\"routes\": [{\"pool\": \"b\"}]}",
			"farm:1:23: backends[0].url: scheme \"htp\" is not one of http, https, unix, http+srv, https+srv\n" +
				`farm:2:21: routes[0].pool: "b" is not a pool; there are "default"`},
		{"huge", strings.Repeat(" ", MaxFile+1), `farm:1:1: the file is larger than 1MiB`},
		{"huge when written out", `{"forward": {"trusted": [` + strings.Repeat(`"::1",`, (MaxFile-100)/6) + `]}}`, `farm:1:1: written out it is larger than 1MiB`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, text, err := Default().WithFarm("farm", "", []byte(tt.text))
			if err == nil || err.Error() != tt.want || c != nil || text != nil {
				t.Errorf("got %v, %.99s, %v\nwant %s", c, text, err, tt.want)
			}
		})
	}
}

// The farm of a file, put in the place of another's, makes the same configuration; and it is its own usual form.
func TestFarmOfEachExample(t *testing.T) {
	other, err := Parse("other.json", []byte(`{"server": "kept", "backends": [{"url": "http://10.9.9.9"}], "pools": {"p": {"backends": [{"url": "http://10.9.9.8"}]}},
		"routes": [{"path": "/p", "pool": "p"}], "forward": {"hold": "3s"}, "health": {"rise": 9}, "ejection": {"most": 9}, "dns": {"min_ttl": "2s"}}`))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range Settings() {
		section, name, _ := strings.Cut(s.Name, ".")
		if !slices.ContainsFunc(farmSections, func(f struct{ name, empty string }) bool { return f.name == section }) {
			continue
		}
		tried++
		text := "{" + s.Example + "}"
		if name != "" {
			for _, part := range slices.Backward(strings.Split(s.Name, ".")[:strings.Count(s.Name, ".")]) {
				text = `{"` + part + `": ` + text + "}"
			}
		}
		want, err := Parse("/etc/ramjet/x.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want.Server = "kept"
		farm, err := Farm("/etc/ramjet/x.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(farm) {
			t.Errorf("not JSON: %s", farm)
		}
		got, again, err := other.WithFarm("farm", "/elsewhere", farm)
		if err != nil {
			t.Errorf("%s: %v in\n%s", s.Name, err, farm)
			continue
		}
		if diff := cmp.Diff(want, got, prefixes); diff != "" {
			t.Errorf("%s: %s", s.Name, diff)
		}
		if string(again) != string(farm) {
			t.Errorf("%s: written again it is\n%s\nand was\n%s", s.Name, again, farm)
		}
	}
	if tried < 30 {
		t.Errorf("only %d settings were tried", tried)
	}
	if other.Pools[0].Name != "p" || len(other.Routes) != 1 {
		t.Error("the other configuration was changed")
	}
}

// The sections that are shown are those that are read.
func TestFarmSections(t *testing.T) {
	known, _ := Default().farmKeys("")
	var shown []string
	for _, s := range farmSections {
		shown = append(shown, s.name)
	}
	slices.Sort(shown)
	if read := slices.Sorted(maps.Keys(known)); !slices.Equal(read, shown) {
		t.Errorf("%v are read, %v are shown", read, shown)
	}
}

// Of a file only the farm is shown, without its comments, and its paths are absolute.
func TestFarmText(t *testing.T) {
	got, err := Farm("/etc/ramjet/ramjet.json", []byte(`// mine
{"listen": ":80", "routes": [{"path": "/a/", /* b */ "pool": "a",},],
 "pools": {"a": {"backends": [{"url": "https://10.0.0.1"}], "forward": {"tls": {"ca": "/ca.pem", "certificate": "c.pem", "key": "c.key"}}}},
 "forward": {"tls": {"ca": "../ca.pem"}},
}`))
	const want = `{
  "backends": [],
  "forward": {
    "tls": {
      "ca": "/etc/ca.pem"
    }
  },
  "health": {},
  "ejection": {},
  "pools": {
    "a": {
      "backends": [
        {
          "url": "https://10.0.0.1"
        }
      ],
      "forward": {
        "tls": {
          "ca": "/ca.pem",
          "certificate": "/etc/ramjet/c.pem",
          "key": "/etc/ramjet/c.key"
        }
      }
    }
  },
  "routes": [
    {
      "path": "/a/",
      "pool": "a"
    }
  ],
  "dns": {}
}
`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	if empty, err := Farm("", nil); err != nil || !strings.HasPrefix(string(empty), "{\n  \"backends\": [],\n") {
		t.Errorf("%v\n%s", err, empty)
	}
	folder, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Farm("ramjet.json", []byte(`{"forward": {"tls": {"ca": "ca.pem"}}}`)); err != nil || !strings.Contains(string(got), folder+"/ca.pem") {
		t.Errorf("%v\n%s", err, got)
	}
}

// The examples of RFC 7396, Appendix A, those that a farm can have: its patches are objects.
func TestMergeFarm(t *testing.T) {
	for _, tt := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1,"b":2,"c":3}`, `{"d":4,"b":5,"a":null,}`, `{"b":5,"c":3,"d":4}`}, // The order stays, and a comma may be too many.
		{`{"a":1}`, `// nothing`, `{"a":1}`},
		{`{"a":1}`, `{"\u0061":null}`, `{}`},
	} {
		got, err := MergeFarm([]byte(tt[0]), "patch", []byte(tt[1]))
		if err != nil {
			t.Errorf("%s: %v", tt[1], err)
			continue
		}
		if plain := strings.NewReplacer(" ", "", "\n", "").Replace(string(got)); plain != tt[2] {
			t.Errorf("%s and %s is %s, want %s", tt[0], tt[1], plain, tt[2])
		}
	}
	for patch, want := range map[string]string{
		`["c"]`:                       `patch:1:1: expected an object such as {"backends": [{"url": "http://10.0.0.2:8000"}]}, not a list`,
		`null`:                        `patch:1:1: null is not a value; leave the setting out to have its default, or write an object such as {"backends": [{"url": "http://10.0.0.2:8000"}]}`,
		`{"a":1`:                      `patch:1:1: this '{' is never closed`,
		`{"a":{"b":1,"\u0062":null}}`: `patch:1:13: a.b: set twice; keep one`,
		strings.Repeat(`{"a":`, 20):   `patch:1:81: nested more than 16 deep`,
	} {
		if got, err := MergeFarm([]byte(`{}`), "patch", []byte(patch)); err == nil || err.Error() != want {
			t.Errorf("%s: %s, %v; want %s", patch, got, err, want)
		}
	}
}

// Whatever is sent as a patch, what comes out is JSON that can be read, or mistakes.
func FuzzMergeFarm(f *testing.F) {
	f.Add(`{"forward": {"hold": "3s"}}`, `{"forward": {"hold": null, "retries": 1}}`)
	f.Add(`{"pools": {"a": {"backends": []}}}`, `{"pools": {"a": null, "b": {"backends": [null]}}}`)
	f.Fuzz(func(t *testing.T, farm, patch string) {
		base, err := Farm("", []byte(farm))
		if err != nil {
			return
		}
		merged, err := MergeFarm(base, "patch", []byte(patch))
		if err != nil {
			return
		}
		if !json.Valid(merged) {
			t.Fatalf("not JSON: %s", merged)
		}
		c, text, err := Default().WithFarm("farm", "/", merged)
		if err != nil {
			return
		}
		again, same, err := Default().WithFarm("farm", "/", text)
		if err != nil || string(same) != string(text) || !cmp.Equal(c, again, prefixes) {
			t.Fatalf("not the same farm again: %v\n%s\n%s", err, text, same)
		}
	})
}
