package access

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// write makes the two files; an empty name of a password leaves its file out.
func write(t *testing.T, image, own string) Files {
	t.Helper()
	dir := t.TempDir()
	files := Files{Image: filepath.Join(dir, "image"), Own: filepath.Join(dir, "own")}
	for name, text := range map[string]string{files.Image: image, files.Own: own} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// hash is a cheap one: with the race detector, those of Hash would take a minute.
func hash(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword(digest(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func TestOpenMistakes(t *testing.T) {
	for _, test := range []struct{ name, image, own, want string }{
		{"no file", "", "", "no such file"},
		{"none in the image counts, whatever is on /perm", "", "secret", "no such file"},
		{"an empty one", " \n", "", "is empty"},
		{"an empty one on /perm", "secret", "\n", "own is empty"},
		{"no password at all", strings.Repeat("x", maxFile+1), "", "longer than"},
	} {
		if a, err := Open(write(t, test.image, test.own)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v, want %q", test.name, a, err, test.want)
		}
	}
}

func TestAllowed(t *testing.T) {
	long := strings.Repeat("long", 30)
	for _, test := range []struct {
		name, image, own string
		user, password   string
		want             bool
	}{
		{"wrong password", hash(t, "secret"), "", User, "secret\n", false},
		{"empty password", hash(t, "secret"), "", User, "", false},
		{"wrong name", hash(t, "secret"), "", "root", "secret", false},
		{"the hash is no password", hash(t, "secret"), "", User, hash(t, "secret"), false},
		{"that of the image, and /perm has another", hash(t, "secret"), "other", User, "secret", false},
		{"only the start of a long one", hash(t, long), "", User, long[:72], false},
		{"right", hash(t, "secret"), "", User, "secret", true},
		{"right, long", hash(t, long), "", User, long, true},
		{"right, of /perm", hash(t, "secret"), "other\n", User, "other", true},
		{"right, of /perm, hashed", hash(t, "secret"), hash(t, "other"), User, "other", true},
		{"right, not hashed", "secret\n", "", User, "secret", true},
	} {
		a, err := Open(write(t, test.image, test.own))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // The second time from memory.
			if got := a.Allowed(test.user, test.password); got != test.want {
				t.Errorf("%s: %v", test.name, got)
			}
		}
		if test.want && (a.Allowed(test.user, test.password+"x") || a.Allowed(test.user+" ", test.password)) {
			t.Errorf("%s: and now others are let in, too", test.name)
		}
	}
}

func TestRequire(t *testing.T) {
	a, err := Open(write(t, hash(t, "secret"), ""))
	if err != nil {
		t.Fatal(err)
	}
	handler := a.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "in, with %q", r.Header.Get("Authorization"))
	}))
	ask := func(from, password string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://box/", nil)
		r.RemoteAddr = from + ":1"
		if password != "" {
			r.SetBasicAuth(User, password)
		}
		if len(header) > 0 {
			r.Header.Set(header[0], header[1])
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	if w := ask("192.0.2.1", "secret", "Origin", "http://evil.example"); w.Code != 403 {
		t.Errorf("a page of another site: %d", w.Code)
	}
	if w := ask("192.0.2.1", ""); w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("no password: %d", w.Code)
	}
	if w := ask("192.0.2.1", "secret"); w.Code != 200 || w.Body.String() != `in, with ""` {
		t.Errorf("right: %d %s", w.Code, w.Body)
	}
	for range freeGuesses + 1 {
		if w := ask("192.0.2.1", "guess"); w.Code != 401 {
			t.Errorf("a guess: %d", w.Code)
		}
	}
	if w := ask("192.0.2.1", "secret"); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after too many: %d", w.Code)
	}
	if w := ask("192.0.2.2", "secret"); w.Code != 200 {
		t.Errorf("somebody else: %d", w.Code)
	}
}

func TestLimiter(t *testing.T) {
	l, now := newLimiter(), time.Now()
	for range 100 {
		l.wrong("a", now)
	}
	if wait := l.wait("a", now); wait != maxPause {
		t.Errorf("after 100 it waits %v, want %v", wait, maxPause)
	}
	if wait := l.wait("a", now.Add(maxPause)); wait > 0 {
		t.Errorf("and then another %v", wait)
	}
	l.forget("a")
	if l.wrong("a", now); l.wait("a", now) > 0 {
		t.Error("nothing is forgotten")
	}
	for i := range 3 * maxAddresses {
		l.wrong(fmt.Sprint(i), now)
	}
	if len(l.by) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(l.by))
	}
}
