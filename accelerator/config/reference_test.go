package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The one list of defaults outside of the reference file: what was promised to users, so that it is not changed by accident.
func TestDefault(t *testing.T) {
	want := &Config{
		Listen: ":8080", Server: "ramjet", LogLevel: slog.LevelInfo,
		Content: Content{
			Index: []string{"index.html"}, Memory: Memory{Percent: 25}, MemoryPerFile: 1 << 20, OpenFiles: 4096, Charset: "utf-8",
			Types: map[string]string{}, CacheControl: []CacheControl{}, Dotfiles: []string{".well-known"}, Settle: 250 * time.Millisecond,
		},
		Rules:    Rules{PermRequired: 0o004, PermForbid: 0o1111, Dynamic: []string{"..", "cgi-bin"}},
		Backends: []Backend{},
		Forward: Forward{
			ConnectTimeout: 3 * time.Second, FirstByteTimeout: time.Minute, IdleTimeout: time.Minute, PreserveHost: true, Balance: "two_choices",
			Protocol: "http1", HashOn: HashOn{Kind: "address"}, Identity: "x_forwarded", ProxyProtocol: "off", Trusted: []netip.Prefix{},
			Retries: 2, RetryShare: 20, Queue: 1000, QueueTime: 10 * time.Second,
		},
		Health:   Health{Check: "tcp", Path: "/", Status: []StatusRange{{200, 399}}, Interval: 2 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3},
		Ejection: Ejection{Failures: 5, Time: 10 * time.Second, Most: 50},
		Pools:    []Pool{}, Routes: []Route{}, ProxyProtocolFrom: []netip.Prefix{},
		DNS: DNS{MinTTL: time.Second, MaxTTL: 5 * time.Minute, Addresses: "any"},
		Limits: Limits{
			HeadBytes: 32 << 10, HeadTime: 10 * time.Second, IdleTime: 75 * time.Second, StallTime: 30 * time.Second,
			DrainTime: 10 * time.Second, Connections: 10000, Streams: 100,
		},
		AccessLog: AccessLog{Format: "off", RotateBytes: 16 << 20, RotateAge: 24 * time.Hour, KeepBytes: 128 << 20},
	}
	if diff := cmp.Diff(want, Default(), prefixes); diff != "" {
		t.Error(diff)
	}
}

func TestReferenceIsAFile(t *testing.T) {
	got, err := Parse("reference.json", Reference)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got, prefixes); diff != "" {
		t.Error(diff)
	}
}

// Every setting is explained, and its example is accepted and changes something.
func TestReferenceExplains(t *testing.T) {
	for _, s := range Settings() {
		if len(s.Text) < 20 || !strings.HasSuffix(s.Text, ".") {
			t.Errorf("%s: no explanation: %q", s.Name, s.Text)
		}
		text := "{" + s.Example + "}"
		sections := strings.Split(s.Name, ".")
		name := sections[len(sections)-1]
		for _, section := range slices.Backward(sections[:len(sections)-1]) {
			text = `{"` + section + `": ` + text + "}"
		}
		if !strings.HasPrefix(s.Example, `"`+name+`": `) {
			t.Errorf("%s: example is for another setting: %s", s.Name, s.Example)
		}
		got, err := Parse(s.Name, []byte(text))
		if err != nil {
			t.Errorf("example: %v", err)
		} else if cmp.Equal(got, Default(), prefixes) {
			t.Errorf("%s: the example is the default: %s", s.Name, s.Example)
		}
	}
}

// Every field of the Go types is a setting of the reference file, and its comment begins with the name and the default that
// stand there.
func TestFieldsMatchReference(t *testing.T) {
	defaults := make(map[string]string)
	for _, s := range Settings() {
		defaults[s.Name] = s.Default
	}
	types := structs(t, "config.go")
	seen := 0
	var check func(typeName, prefix string)
	check = func(typeName, prefix string) {
		for _, f := range types[typeName].Fields.List {
			comment := f.Doc.Text()
			name, rest, ok := strings.Cut(strings.TrimPrefix(comment, `"`), `": `)
			if !ok {
				t.Errorf("%s.%s: comment does not begin with the name in the file: %s", typeName, f.Names[0], comment)
				continue
			}
			name = prefix + name
			if ident, ok := f.Type.(*ast.Ident); ok && types[ident.Name] != nil && ident.Name != "Memory" {
				check(ident.Name, name+".")
				continue
			}
			seen++
			if value, ok := defaults[name]; !ok {
				t.Errorf("%s.%s: %s is not in the reference file", typeName, f.Names[0], name)
			} else if !strings.HasPrefix(rest, value+". ") {
				t.Errorf("%s.%s: default of %s is %s, but the comment says %q", typeName, f.Names[0], name, value, comment)
			}
		}
	}
	check("Config", "")
	if seen != len(defaults) {
		t.Errorf("%d fields, %d settings in the reference file", seen, len(defaults))
	}
	for _, element := range []string{"Backend", "CacheControl", "Pool", "Route", "FieldChanges", "PerClient"} {
		for _, f := range types[element].Fields.List {
			name, _, _ := strings.Cut(f.Doc.Text(), ":")
			if strings.HasPrefix(name, `"`) && !regexp.MustCompile(`[{,] ?`+name+`: ["\d{[]`).Match(Reference) {
				t.Errorf("%s.%s: %s has no example in the reference file", element, f.Names[0], name)
			}
		}
	}
}

// structs returns the struct types of a source file by their names.
func structs(t *testing.T, file string) map[string]*ast.StructType {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*ast.StructType)
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				out[spec.Name.Name] = s
			}
		}
		return true
	})
	return out
}

// prefixes has go-cmp compare what has no exported fields.
var prefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
