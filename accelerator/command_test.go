package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write writes a file that everybody may read, and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // Whatever the umask.
		t.Fatal(err)
	}
	return path
}

// What ends at once: what it prints, and its exit status.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := write(t, dir, "good.json", `{"content": {"root": "site"}, "listen": ":8081", "backends": [{"url": "http://10.0.0.2:8000"}],}`)
	write(t, dir, "site/index.html", "home")
	broken := write(t, dir, "broken.json", "// a comment\n{\n  \"backends\": [{\"url\": \"htp://10.0.0.2:8000\"}],\n  \"limit\": {},\n  \"rules\": {\"query\": 7},\n}\n")
	unclosed := write(t, dir, "unclosed.json", "{\n  \"listen\": \":80\",\n")
	site := filepath.Join(dir, "site")
	for _, test := range []struct {
		args   []string
		status int
		want   []string // each is in what it prints, on either side
	}{
		{[]string{"-nonsense"}, 2, []string{"-nonsense", "see accelerator -h"}},
		{[]string{"surplus"}, 2, []string{`unexpected argument "surplus"`}},
		{[]string{"-explain", ""}, 2, []string{"-explain", "the URL is missing"}},
		{[]string{"-listen", "7", "-check"}, 2, []string{"-listen: ", "colon"}},
		{[]string{"-listen-default", "7", "-check"}, 2, []string{"-listen-default: ", "colon"}},
		{[]string{"-backend", "ftp://a", "-check"}, 2, []string{"-backend: ", "ftp"}},
		{[]string{"-root", dir + "/none", "-check"}, 2, []string{dir + "/none", "no such file"}},
		{[]string{"-root", dir + "/none"}, 2, []string{dir + "/none", "no such file"}},
		{[]string{"-config", dir + "/none.json", "-check"}, 2, []string{"none.json", "no such file"}},
		{[]string{"-config", broken, "-check"}, 2, []string{
			broken + `:3:24: backends[0].url: scheme "htp" is not one of http, https, unix, http+srv, https+srv`,
			broken + `:4:3: limit: unknown setting; did you mean "limits"?`,
			broken + `:5:22: rules.query: expected text such as "forward", not the number 7`,
		}},
		{[]string{"-config", broken}, 2, []string{broken + `:3:24: backends[0].url: scheme "htp" is not one of http, https, unix, http+srv, https+srv`}},
		{[]string{"-config", broken, "-explain", "/"}, 2, []string{broken + ":3:24: "}},
		{[]string{"-config", unclosed, "-check"}, 2, []string{unclosed + `:1:1: this '{' is never closed`}},
		{[]string{"-version"}, 0, []string{version}},
		{[]string{"-h"}, 0, []string{"Quick start", "-listen", "-root", "-backend", "Exit status"}},
		{[]string{"-config", good, "-check"}, 0, []string{good, ":8081", site, "1 files", "http://10.0.0.2:8000", "\nok\n"}},
		{[]string{"-config", good, "-listen-default", ":7", "-check"}, 0, []string{"listen         :8081\n"}},
		{[]string{"-root", site, "-listen-default", ":7", "-check"}, 0, []string{"listen         :7\n"}},
		{[]string{"-root", site, "-check"}, 0, []string{"built-in defaults", "backend        none", "\nok\n"}},
		{[]string{"-config", broken, "-config", good, "-check"}, 0, []string{"broken.json", "configuration  " + good}},
	} {
		stdout, stderr, status := output(t, test.args...)
		if status != test.status {
			t.Errorf("%q: exit status %d, want %d\n%s%s", test.args, status, test.status, stdout, stderr)
		}
		for _, want := range test.want {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%q: no %q in\n%s%s", test.args, want, stdout, stderr)
			}
		}
		if status != 0 && stdout != "" {
			t.Errorf("%q: an error goes to stderr, not to stdout:\n%s", test.args, stdout)
		}
	}
}

// Who may get a request that is forwarded is part of the explanation.
func TestExplainBackends(t *testing.T) {
	t.Parallel()
	stdout, stderr, status := output(t, "-backend", "http://127.0.0.1:1", "-explain", "/cgi-bin/x")
	if status != 0 || !strings.Contains(stdout, "\n  backend  http://127.0.0.1:1, weight 1: gets it\n  request  GET /cgi-bin/x HTTP/1.1\n") {
		t.Errorf("exit status %d:\n%s%s", status, stdout, stderr)
	}
}

func TestExplainCommand(t *testing.T) {
	t.Parallel()
	site := t.TempDir()
	write(t, site, "page.html", strings.Repeat("<p>page</p>", 100))
	write(t, site, "page.html.br", "br")
	write(t, site, "cgi-bin/a.html", "a")
	write(t, site, "dir/index.html", "dir")
	large := write(t, site, "large.txt", "")
	if err := os.Truncate(large, 2<<20); err != nil {
		t.Fatal(err)
	}
	farm := []string{"-backend", "http://127.0.0.1:1"}
	for _, test := range []struct {
		args   []string
		target string
		status int
		last   string // the outcome
	}{
		{nil, "page.html", 2, ""},
		{nil, "ftp://a/page.html", 2, ""},
		{nil, "/%zz", 2, ""},
		{farm, "/page.html", 0, "static, br, from memory"},
		{farm, "http://example.com/page.html", 0, "static, br, from memory"},
		{farm, "/large.txt", 0, "static, identity, from an open file"},
		{farm, "/dir", 0, "redirected to /dir/"},
		{farm, "/page.html?x", 0, "forwarded: rule 1, the URL has a query"},
		{farm, "/dir/../page.html", 0, "forwarded: rule 2, the path is unsafe: it has a .. segment"},
		{farm, "/none.html", 0, "forwarded: rule 3, there is no such file"},
		{farm, "/cgi-bin/a.html", 0, "forwarded: rule 6, the path contains cgi-bin"},
		{nil, "/page.html?x", 0, "static, br, from memory"},
		{nil, "/none.html", 0, "answered 404 Not Found: rule 3, there is no such file"},
		{nil, "/cgi-bin/a.html", 0, "answered 404 Not Found: rule 6, the path contains cgi-bin"},
	} {
		args := append([]string{"-root", site, "-explain", test.target}, test.args...)
		stdout, stderr, status := output(t, args...)
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if got := lines[len(lines)-1]; status != test.status || got != test.last {
			t.Errorf("%q: exit status %d, outcome %q, want %d and %q\n%s%s", args, status, got, test.status, test.last, stdout, stderr)
		}
	}
}
