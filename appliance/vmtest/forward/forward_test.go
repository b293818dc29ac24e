// Package forward is the story of the box in front of its farm: what is not a
// static file comes from Apache, cgit and git's own server behind it.
package forward

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/farm"
	"ramjet/appliance/vmtest/site"
)

// home is the page by which the stories see that the site is up.
const home = "apache2-doc/manual/en/index.html"

func TestForward(t *testing.T) {
	f, err := farm.New(t.Context(), vmtest.TempDir(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Stop()
		if t.Failed() {
			t.Logf("the farm's log:\n%s", f.Log())
		}
	})
	root, files, _ := vmtest.Site(t)
	disk := vmtest.ContentDisk(t, root, map[string]string{"ramjet.json": f.Config("")})
	box := vmtest.Boot(t, vmtest.Config{Content: disk})
	box.WaitUp(vmtest.URLPath(home))

	// The static half is asked all the time, whatever happens to the farm.
	ctx, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		staticHalf(ctx, t, box, files, &asked)
	}()
	t.Run("cgit", func(t *testing.T) { cgitPages(t, box) })
	t.Run("post", func(t *testing.T) { post(t, box) })
	t.Run("query", func(t *testing.T) { query(t, box) })
	t.Run("clone", func(t *testing.T) { clone(t, box, f) })
	t.Run("farm down and up", func(t *testing.T) { downAndUp(t, box, f) })
	stop()
	<-done
	t.Logf("the static half answered %d times meanwhile", asked.Load())
	if asked.Load() < 100 {
		t.Errorf("that is too little to tell")
	}
}

// staticHalf fetches static files until ctx ends and checks every answer.
func staticHalf(ctx context.Context, t *testing.T, box *vmtest.Box, files []site.File, asked *atomic.Int64) {
	for i := 0; ctx.Err() == nil; i++ {
		f := files[i*7%len(files)]
		if filepath.Ext(f.Name) != ".html" {
			continue // an unknown type is the farm's
		}
		started := time.Now()
		answer, err := box.Fetch(ctx, vmtest.URLPath(f.Name), nil)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = vmtest.CheckFile(f, answer)
		}
		if err != nil {
			t.Errorf("static half: %v", err)
			return
		}
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("static half: %s took %v", f.Name, took)
		}
		asked.Add(1)
	}
}

// want checks status and content of a forwarded page.
func want(t *testing.T, box *vmtest.Box, path string, status int, text string) {
	t.Helper()
	a := box.Get(path, nil)
	if a.Status != status || !strings.Contains(string(a.Body), text) {
		t.Errorf("%s: status %d, want %d with %q:\n%.2000s", path, a.Status, status, text, a.Body)
	}
}

func cgitPages(t *testing.T, box *vmtest.Box) {
	want(t, box, "/cgit/", 200, "A repository for a story")
	want(t, box, "/cgit/story/log/", 200, "Chapter 11 of the story")
	want(t, box, "/cgit/story/log/?qt=grep&q=Chapter+7", 200, "Chapter 7 of the story")
	want(t, box, "/cgit/story/tree/chapter-03.txt?h=main", 200, "chapter-03.txt")
	want(t, box, "/cgit-css/cgit.css", 200, "#cgit")
	// The box's configuration lies beside the content, and is none.
	want(t, box, "/ramjet.json", 404, "")
	want(t, box, "/cgit/no-such-repository/", 404, "No repositories found")
}

// query checks that the farm gets the target as the client sent it.
func query(t *testing.T, box *vmtest.Box) {
	for _, target := range []string{
		"/cgi-bin/echo?a=1;b=2&c=%2Fd", "/cgi-bin/echo/x%20y?%zz", "/cgi-bin/echo?", "/cgi-bin/echo/a//b?x",
	} {
		want(t, box, target, 200, "uri="+target+"\n")
	}
}

// post sends bodies of known and of unknown length to a CGI program.
func post(t *testing.T, box *vmtest.Box) {
	body := strings.Repeat("name=value&", 30000)
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	for name, reader := range map[string]io.Reader{
		"with a length": strings.NewReader(body),
		"in chunks":     io.MultiReader(strings.NewReader(body)),
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, box.URL+"/cgi-bin/echo?kind=post", reader)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := box.Client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("POST %s: %s, %v", name, response.Status, err)
		}
		for _, line := range []string{"method=POST\n", "query=kind=post\n", "for=10.0.2.2\n", "sum=" + sum} {
			if !strings.Contains(string(got), line) {
				t.Errorf("POST %s: no %q in\n%s", name, line, got)
			}
		}
	}
}

// clone clones the farm's repository over smart HTTP and compares it.
func clone(t *testing.T, box *vmtest.Box, f *farm.Farm) {
	to := filepath.Join(vmtest.TempDir(t), "clone")
	git(t, "clone", "-q", box.URL+"/git/story.git", to)
	git(t, "-C", to, "fsck", "--strict")
	got, want := git(t, "-C", to, "rev-parse", "HEAD"), git(t, "-C", f.Repository, "rev-parse", "HEAD")
	if got != want {
		t.Errorf("the clone is at %q, the repository at %q", got, want)
	}
	if log := git(t, "-C", to, "log", "--oneline"); strings.Count(log, "\n") != 12 {
		t.Errorf("the clone has not all 12 commits:\n%s", log)
	}
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// downAndUp stops the farm, wants 502 with a page, and starts it again.
func downAndUp(t *testing.T, box *vmtest.Box, f *farm.Farm) {
	f.Stop()
	down := box.Get("/cgit/", nil)
	if down.Status != http.StatusBadGateway {
		t.Errorf("farm down: status %d, want 502", down.Status)
	}
	if kind := down.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") || !bytes.Contains(down.Body, []byte("<html")) {
		t.Errorf("farm down: no page but %q:\n%.500s", kind, down.Body)
	}
	time.Sleep(2 * time.Second) // for the static half to notice, should it
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		up := box.Get("/cgit/", nil)
		if up.Status == http.StatusOK && bytes.Contains(up.Body, []byte("A repository for a story")) {
			return
		}
		last = fmt.Sprint(up.Status)
	}
	t.Errorf("farm up again: not served within 20 s, at last status %s", last)
}
