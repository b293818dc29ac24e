package main

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/appliance/release"
)

func tarOf(t *testing.T, mode int64, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		err := w.WriteHeader(&tar.Header{Name: "./" + name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// steer makes one request to the API, with a token.
func (b *box) steer(c *http.Client, token, method, path string, body []byte) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, "https://"+b.api+path, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := c.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// command runs the program as its owner does elsewhere.
func (b *box) command(status int, args ...string) string {
	b.t.Helper()
	args = append([]string{args[0], "-box", b.api, "-known", b.path("known"), "-accept-new", "-password-file", b.path("password")}, args[1:]...)
	out, err := program(b.t.Context(), args...).CombinedOutput()
	if got := exitStatus(b.t, err); got != status {
		b.t.Errorf("%q: exit status %d, want %d:\n%s", args, got, status, out)
	}
	return strings.TrimSpace(string(out))
}

// Sites are published, listed, taken back, and kept, through the real program and the real accelerator; and 1,000 flips
// later every answer was whole and of one release, and every page has found its script.
func TestReleases(t *testing.T) {
	b := startBox(t)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // Another test looks at it.
	defer c.CloseIdleConnections()
	lines := strings.Split(b.command(0, "token", "make", "ci", "publish"), "\n")
	token := lines[len(lines)-1]
	lines = strings.Split(b.command(0, "token", "make", "other", "status,config"), "\n")
	other := lines[len(lines)-1]

	page := func(n int) map[string]string {
		return map[string]string{"index.html": fmt.Sprintf("page %d %s", n, strings.Repeat(fmt.Sprint(n), 5000)), "same.txt": "same", fmt.Sprintf("app-%d.js", n): script(n)}
	}
	var ids []string
	for n := range 3 {
		status, text := b.steer(c, token, "PUT", "/releases", tarOf(t, 0o644, page(n)))
		var r release.Release
		if err := json.Unmarshal([]byte(text), &r); err != nil || status != 201 || !r.Live || r.Trouble != "" || r.Files != 3 || !strings.Contains(r.By, "(ci)") {
			t.Fatalf("%d %s", status, text)
		}
		ids = append(ids, r.ID)
		if got := b.page(t); got.text != page(n)["index.html"] { // Already, without a wait.
			t.Errorf("release %d is not served: %.20q", n, got.text)
		}
	}
	for _, wrong := range []struct {
		token, method, path string
		body                []byte
		status              int
		says                string
	}{
		{other, "PUT", "/releases", tarOf(t, 0o644, page(9)), 403, "not for publish"},
		{token, "GET", "/config", nil, 403, "not for config"},
		{token, "PUT", "/releases", tarOf(t, 0o755, page(9)), 422, "0755"},
		{token, "PUT", "/releases", tarOf(t, 0o644, map[string]string{"../x": "x"}), 422, "cannot be published"},
		{token, "PUT", "/releases", []byte("no tar"), 422, "no tar archive"},
		{token, "POST", "/releases/nobody/live", nil, 404, "no such release"},
		{token, "PUT", "/releases/keep", []byte("none"), 422, "keep 1 to 1000"},
	} {
		status, text := b.steer(c, wrong.token, wrong.method, wrong.path, wrong.body)
		if status != wrong.status || !strings.Contains(text, wrong.says) {
			t.Errorf("%s %s: %d %s", wrong.method, wrong.path, status, text)
		}
	}
	if got := b.command(0, "rollback"); got != ids[1]+" is live" || b.page(t).text != page(1)["index.html"] {
		t.Errorf("rollback: %s", got)
	}
	if got := b.command(0, "releases"); !strings.Contains(got, "\n* "+ids[1]) || !strings.Contains(got, "the last 10 are kept") || strings.Count(got, "3 files, ") != 3 {
		t.Errorf("releases:\n%s", got)
	}
	if got := b.command(0, "rollback", ids[2]); got != ids[2]+" is live" || b.page(t).text != page(2)["index.html"] {
		t.Errorf("rollback: %s", got)
	}
	b.command(0, "keep", "2")
	if got := b.command(0, "releases"); strings.Contains(got, ids[0]) || !strings.Contains(got, ids[1]) {
		t.Errorf("of three, two are kept:\n%s", got)
	}
	b.command(1, "rollback", ids[0])
	b.command(2, "keep")
	b.command(2, "releases", "x")

	if got := b.command(0, "assets"); got != "usual" {
		t.Errorf("assets: %q", got)
	}
	b.command(0, "assets", "usual", "*.pdf")
	if got := b.command(0, "assets"); got != "usual\n*.pdf" {
		t.Errorf("assets: %q", got)
	}
	if got := b.command(1, "assets", "["); !strings.Contains(got, "is no glob, such as *.js") {
		t.Errorf("assets: %q", got)
	}

	b.command(0, "keep", "3")
	b.curl(token)
	b.flips(c, token, ids[1:], []string{page(1)["index.html"], page(2)["index.html"]})
	b.readmePublishes()
}

// curl publishes as the READMEs say, and takes it back.
func (b *box) curl(token string) {
	b.t.Helper()
	if err := errors.Join(os.Mkdir(b.path("public"), 0o755), os.WriteFile(b.path("public/index.html"), []byte("by curl"), 0o644), os.WriteFile(b.path("token"), []byte(token+"\n"), 0o600)); err != nil {
		b.t.Fatal(err)
	}
	const line = `tar -c -C public . | curl -k -T - -H "Authorization: Bearer $(cat token)" https://`
	for _, name := range []string{"README.md", "../README.md"} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), line) {
			b.t.Errorf("%s says something else: %v", name, err)
		}
	}
	cmd := exec.Command("sh", "-c", line+b.api+"/releases")
	cmd.Dir = b.Dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"live": true`) || b.page(b.t).text != "by curl" {
		b.t.Errorf("%v\n%s", err, out)
	}
	if got := b.command(0, "rollback"); b.page(b.t).text == "by curl" {
		b.t.Errorf("rollback: %s", got)
	}
}

// readmePublishes runs the lines of both READMEs that publish a folder.
func (b *box) readmePublishes() {
	b.t.Helper()
	for _, name := range []string{"README.md", "../README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			b.t.Fatal(err)
		}
		line := regexp.MustCompile(`(?m)^\s*(?:bin/)?appliance (publish .*) https://ramjet:8443$`).FindStringSubmatch(string(text))
		if line == nil {
			b.t.Errorf("%s does not publish", name)
			continue
		}
		if err := os.WriteFile(b.path("public/index.html"), []byte("by "+name), 0o644); err != nil {
			b.t.Fatal(err)
		}
		cmd := program(b.t.Context(), append(strings.Fields(line[1]), b.api)...)
		cmd.Dir = b.Dir
		cmd.Env = append(cmd.Environ(), "XDG_CONFIG_HOME="+b.path("config"), "XDG_CACHE_HOME="+b.path("cache"))
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is not known yet") {
			b.t.Errorf("%s: a box that is not known: %v\n%s", name, err, out)
		}
		known, err := os.ReadFile(b.path("known"))
		if err == nil {
			err = errors.Join(os.MkdirAll(b.path("config/ramjet"), 0o700), os.WriteFile(b.path("config/ramjet/known_boxes"), known, 0o600))
		}
		if err != nil {
			b.t.Fatal(err)
		}
		again := program(b.t.Context(), cmd.Args[1:]...)
		again.Dir, again.Env = cmd.Dir, cmd.Env
		if out, err := again.CombinedOutput(); err != nil || b.page(b.t).text != "by "+name {
			b.t.Errorf("%s: %v\n%s", name, err, out)
		}
		if err := os.RemoveAll(b.path("config")); err != nil {
			b.t.Fatal(err)
		}
	}
}

// pageAnswer is what the accelerator says.
type pageAnswer struct{ text, tag string }

func (b *box) page(t *testing.T) pageAnswer {
	t.Helper()
	got, err := fetch(http.DefaultClient, "http://"+b.Listen+"/")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func fetch(c *http.Client, url string) (pageAnswer, error) {
	a, err := c.Get(url)
	if err != nil {
		return pageAnswer{}, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != 200 {
		err = fmt.Errorf("%s", a.Status)
	}
	return pageAnswer{string(text), a.Header.Get("ETag")}, err
}

// script is what page n loads when it is there.
func script(n int) string { return fmt.Sprintf("script of page %d", n) }

// flips flips 1,000 times between two releases, under load.
func (b *box) flips(c *http.Client, token string, ids, pages []string) {
	b.t.Helper()
	var ended atomic.Bool
	var seen [2]atomic.Int64
	var tags sync.Map // of a page: its ETag
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			own := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
			defer own.CloseIdleConnections()
			for !ended.Load() {
				got, err := fetch(own, "http://"+b.Listen+"/")
				which := 0
				if got.text == pages[1] {
					which = 1
				}
				tag, _ := tags.LoadOrStore(which, got.tag)
				if err != nil || got.text != pages[which] || tag != got.tag || got.tag == "" {
					b.t.Errorf("an answer of no release: %.20q with ETag %s, %v", got.text, got.tag, err)
					return
				}
				seen[which].Add(1)
				// By now another release may be live.
				if got, err := fetch(own, fmt.Sprintf("http://%s/app-%d.js", b.Listen, which+1)); err != nil || got.text != script(which+1) {
					b.t.Errorf("the script of page %d: %.30q, %v", which+1, got.text, err)
					return
				}
			}
		})
	}
	started := time.Now()
	for n := range 1000 {
		if status, text := b.steer(c, token, "POST", "/releases/"+ids[n%2]+"/live", nil); status != 200 || strings.Contains(text, "trouble") {
			b.t.Errorf("flip %d: %d %s", n, status, text)
			break
		}
	}
	took := time.Since(started)
	ended.Store(true)
	load.Wait()
	if seen[0].Load() == 0 || seen[1].Load() == 0 {
		b.t.Errorf("seen %d and %d times", seen[0].Load(), seen[1].Load())
	}
	b.t.Logf("1,000 flips in %v; the releases were seen %d and %d times", took, seen[0].Load(), seen[1].Load())
	if left, err := os.ReadDir(b.path("site/.ramjet/incoming")); err != nil || len(left) > 0 {
		b.t.Errorf("left: %v, %v", left, err)
	}
}
