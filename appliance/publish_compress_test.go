package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coded asks the accelerator for a page in a coding, and returns what it is decoded.
func (b *box) coded(coding, path string) (text string, bytes int) {
	b.t.Helper()
	q, err := http.NewRequestWithContext(b.t.Context(), "GET", "http://"+b.Listen+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	q.Header.Set("Accept-Encoding", coding)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 || a.Header.Get("Content-Encoding") != coding {
		b.t.Errorf("%s in %s: %s, Content-Encoding %q, %v", path, coding, a.Status, a.Header.Get("Content-Encoding"), err)
		return "", 0
	}
	return decode(b.t, coding, body), len(body)
}

func decode(t *testing.T, coding string, body []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	case "gzip":
		r, err = gzip.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// Text is served compressed, by what was made before it was sent; what the site has of its own stays.
func TestPublishCompressed(t *testing.T) {
	b := startBox(t)
	p := b.publisher()
	dir := b.path("public")
	page := func(word string) string { return strings.Repeat("<p>a page with the word "+word+"</p>\n", 300) }
	files := map[string]string{"index.html": page("one"), "own.js": page("script"), "picture.png": noise(1, 5000), "small.css": "p {}"}
	var own bytes.Buffer
	w := gzip.NewWriter(&own)
	if _, err := io.WriteString(w, page("script")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	files["own.js.gz"] = own.String()
	write(t, dir, files)
	out, _ := p.publish(0, b.api, "-compress=false", dir)
	if !strings.Contains(out, ": 5 of 5 files sent") {
		t.Error(out)
	}
	plain, _, _ := strings.Cut(out, " ")
	out, _ = p.publish(0, b.api, dir)
	if !strings.Contains(out, ": 5 of 10 files (5 compressed forms among them) sent") {
		t.Error(out)
	}
	p.served(files)
	for _, coding := range []string{"br", "zstd", "gzip"} {
		for path, want := range map[string]string{"/": page("one"), "/own.js": page("script")} {
			if text, n := b.coded(coding, path); text != want || n*5 > len(want) {
				t.Errorf("%s in %s: %d bytes", path, coding, n)
			}
		}
	}
	if got, err := fetch(http.DefaultClient, "http://"+b.Listen+"/own.js.gz"); err != nil || got.text != own.String() {
		t.Errorf("the site's own form was changed: %v", err)
	}
	both, _, _ := strings.Cut(out, " ")
	// Quick: it is live twice, and one step back is the one before both.
	for n, word := range []string{"two", "three"} {
		write(t, dir, map[string]string{"index.html": page(word)})
		out, says := p.publish(0, b.api, "-quick", dir)
		if !strings.Contains(says, "is live, without compressed forms: they follow") || !strings.Contains(out, ": 4 of 10 files (5 compressed forms among them) sent") {
			t.Errorf("%s%s", out, says)
		}
		if text, _ := b.coded("br", "/"); text != page(word) {
			t.Errorf("%.100q", text)
		}
		if got := b.command(0, "releases"); strings.Count(got, "\n") != 3+n {
			t.Errorf("releases:\n%s", got)
		}
	}
	if got := b.command(0, "rollback"); b.page(t).text != page("two") {
		t.Errorf("rollback: %s", got)
	}
	// Nothing has to be made: it is live once.
	b.command(0, "rollback", both)
	write(t, dir, map[string]string{"index.html": page("one")})
	if out, says := p.publish(0, b.api, "-quick", dir); strings.Contains(says, "follow") || !strings.HasPrefix(out, both+" is live: 0 of 10") {
		t.Errorf("%s%s", out, says)
	}
	// Without a memory nothing is left behind.
	temporary := b.path("tmp")
	if err := os.Mkdir(temporary, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temporary)
	write(t, dir, map[string]string{"index.html": page("four")})
	if out, _ := p.publish(0, b.api, "-cache", "", dir); !strings.Contains(out, "4 of 10 files") {
		t.Error(out)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	b.command(0, "rollback", plain)
	p.publish(2, b.api, "-quick", "-compress=false", dir)
}
