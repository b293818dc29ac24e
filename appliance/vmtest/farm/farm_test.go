package farm

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestFarm checks the farm without a box in front of it.
func TestFarm(t *testing.T) {
	dir, err := os.MkdirTemp("", "ramjet-farm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := New(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	base := fmt.Sprintf("http://127.0.0.1:%d", f.Port)
	for _, test := range []struct {
		path   string
		status int
		want   string
	}{
		{"/no-such-page", 404, ""},
		{"/cgi-bin/echo?a=1;b=2", 200, "query=a=1;b=2\n"},
		{"/cgit/", 200, "A repository for a story"},
		{"/cgit/story/log/?qt=grep&q=Chapter+7", 200, "Chapter 7 of the story"},
		{"/cgit-css/cgit.css", 200, "#cgit"},
		{"/git/story.git/info/refs?service=git-upload-pack", 200, "# service=git-upload-pack"},
	} {
		response, err := http.Get(base + test.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.want) {
			t.Errorf("%s: %s, %v, want %d with %q:\n%s\n%s", test.path, response.Status, err, test.status, test.want, body, f.Log())
		}
	}
	f.Stop()
	if _, err := http.Get(base + "/"); err == nil {
		t.Error("a stopped farm answers")
	}
	if err := f.Start(); err != nil {
		t.Errorf("starting it again: %v", err)
	}
}
