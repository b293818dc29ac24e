// Package failover is the story of a box in front of two servers, of which one dies under load, and of a farm that is
// changed while the box runs, and is still the changed one after a reboot and after a power cut.
package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/farm"
)

// patience is for what takes a moment on a machine that has nothing else to do.
const patience = 90 * time.Second

// server starts an Apache that says its name.
func server(t *testing.T, name string) *farm.Farm {
	t.Helper()
	documents := vmtest.TempDir(t)
	text := strings.Repeat(name+"\n", 500)
	if err := os.WriteFile(filepath.Join(documents, "who.html"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := farm.New(t.Context(), vmtest.TempDir(t), documents)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Stop()
		if t.Failed() {
			t.Logf("the log of the %s server:\n%s", name, f.Log())
		}
	})
	return f
}

// backend is the server as the box knows it.
func backend(f *farm.Farm) string { return fmt.Sprintf(`{"url": "http://10.0.2.2:%d"}`, f.Port) }

func TestFailover(t *testing.T) {
	first, second := server(t, "first"), server(t, "second")
	box := vmtest.Boot(t, vmtest.Config{Perm: map[string]string{
		"ramjet.json": `{"backends": [` + backend(first) + `, ` + backend(second) + `]}`,
	}})
	box.WaitUp("/who.html")
	t.Run("a server dies", func(t *testing.T) { dies(t, box, first) })
	t.Run("another farm", func(t *testing.T) { change(t, box, second) })
	t.Run("still there after a reboot", func(t *testing.T) {
		box.Reboot()
		box.WaitUp("/who.html")
		changed(t, box, second)
	})
	t.Run("and after a power cut", func(t *testing.T) {
		must(t, box, "PATCH", "/farm?save=true", `{"forward": {"hold": "7s"}}`)
		box.PowerCut()
		box.PowerOn()
		box.WaitUp("/who.html")
		changed(t, box, second)
		if text := must(t, box, "GET", "/farm", ""); !strings.Contains(text, `"hold": "7s"`) {
			t.Errorf("the last change is lost:\n%s", text)
		}
	})
	t.Run("given back", func(t *testing.T) {
		must(t, box, "DELETE", "/farm", "")
		if got := box.Get("/api/who.html", nil); got.Status != http.StatusNotFound {
			t.Errorf("the route is still there: status %d", got.Status)
		}
		if from := farmFrom(t, box); from != "configuration" {
			t.Errorf("the farm is from %q", from)
		}
	})
}

// load asks for the page all the time, as some clients do, and counts who answered.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	by     map[string]int // guarded by mu: answers, by the server
	broken []string       // guarded by mu: answers that broke off after they had begun
	failed []string       // guarded by mu: all others
}

const clients = 3

func begin(t *testing.T, box *vmtest.Box) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, by: map[string]int{}}
	for range clients {
		l.done.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.ask(ctx, box, fmt.Sprintf("%s/who.html?%d", box.URL, n))
			}
		})
	}
	return l
}

func (l *load) ask(ctx context.Context, box *vmtest.Box, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	response, err := box.Client.Do(request)
	begun := err == nil && response.StatusCode == http.StatusOK
	var text []byte
	if err == nil {
		text, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	name, _, _ := strings.Cut(string(text), "\n")
	if err == nil && (!begun || name == "" || string(text) != strings.Repeat(name+"\n", 500)) {
		err = fmt.Errorf("%s, %d octets: %.99q", response.Status, len(text), text)
		begun = false // It looks whole and is not.
	}
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.by[name]++
	case begun && errors.Is(err, io.ErrUnexpectedEOF):
		l.broken = append(l.broken, err.Error())
	default:
		l.failed = append(l.failed, err.Error())
	}
}

// more waits for some more answers of each of these servers.
func (l *load) more(t *testing.T, names ...string) {
	t.Helper()
	count := func() map[string]int {
		l.mu.Lock()
		defer l.mu.Unlock()
		now := map[string]int{}
		for _, name := range names {
			now[name] = l.by[name]
		}
		return now
	}
	before := count()
	until(t, fmt.Sprintf("answers of %v", names), func() bool {
		now := count()
		for _, name := range names {
			if now[name] < before[name]+20 {
				return false
			}
		}
		return true
	})
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	t.Logf("answers by server: %v, broken off: %d", l.by, len(l.broken))
	if len(l.failed) > 0 {
		t.Errorf("%d requests failed: %.2000q", len(l.failed), l.failed)
	}
	if len(l.broken) > clients { // No more than were being answered at that moment.
		t.Errorf("%d answers broke off: %.2000q", len(l.broken), l.broken)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// dies kills a server under load, and starts it again: no request fails, and the box learns of both.
func dies(t *testing.T, box *vmtest.Box, f *farm.Farm) {
	l := begin(t, box)
	defer l.end(t)
	l.more(t, "first", "second")
	f.Kill()
	until(t, "the box sees that a server is dead", func() bool { return health(t, box, f) == "down" })
	l.more(t, "second")
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the box sees that it is back", func() bool { return health(t, box, f) == "up" })
	l.more(t, "first", "second")
}

// status is the part of GET /status that the story looks at.
type status struct {
	Farm struct {
		From string `json:"from"`
	} `json:"farm"`
	Backends []struct {
		URL    string `json:"url"`
		Health string `json:"health"`
	} `json:"backends"`
}

func look(t *testing.T, box *vmtest.Box) status {
	t.Helper()
	var now status
	text := must(t, box, "GET", "/status", "")
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return now
}

func health(t *testing.T, box *vmtest.Box, f *farm.Farm) string {
	t.Helper()
	for _, b := range look(t, box).Backends {
		if strings.HasSuffix(b.URL, fmt.Sprintf(":%d", f.Port)) {
			return b.Health
		}
	}
	return ""
}

func farmFrom(t *testing.T, box *vmtest.Box) string {
	t.Helper()
	return look(t, box).Farm.From
}

// must asks the admin socket for something that it has to do.
func must(t *testing.T, box *vmtest.Box, method, path, body string) string {
	t.Helper()
	match := ""
	if method == "PUT" || method == "PATCH" {
		match = "*"
	}
	code, text := box.Ask(method, path, match, body)
	if code != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", method, path, code, text)
	}
	return text
}

// change gives the box a pool and a route for good, and one for now.
func change(t *testing.T, box *vmtest.Box, f *farm.Farm) {
	if code, text := box.AskAsStranger("DELETE", "/farm"); code != http.StatusUnauthorized {
		t.Errorf("a stranger gets status %d: %s", code, text)
	}
	if code, text := box.Ask("PUT", "/farm", "*", `{"backends": [{"url": "htp://a"}]}`); code != http.StatusBadRequest || !strings.Contains(text, "farm:1:23: backends[0].url:") {
		t.Errorf("a farm with a mistake: status %d: %s", code, text)
	}
	must(t, box, "PATCH", "/farm?save=true", `{
		"pools": {"api": {"backends": [`+backend(f)+`]}},
		"routes": [{"path": "/api/", "pool": "api", "strip_prefix": "/api"}]
	}`)
	changed(t, box, f)
	must(t, box, "PATCH", "/farm", `{"routes": [{"path": "/for-now/", "pool": "api", "strip_prefix": "/for-now"}]}`)
	if from := farmFrom(t, box); from != "change" {
		t.Errorf("the farm is from %q", from)
	}
	if got := box.Get("/for-now/who.html", nil); got.Status != http.StatusOK {
		t.Errorf("the route for now: status %d", got.Status)
	}
}

// changed checks that the farm is the one that was saved, and no other.
func changed(t *testing.T, box *vmtest.Box, f *farm.Farm) {
	t.Helper()
	for range 6 {
		got := box.Get("/api/who.html", nil)
		if name, _, _ := strings.Cut(string(got.Body), "\n"); got.Status != http.StatusOK || name != "second" {
			t.Fatalf("the saved route: status %d, from %.99q", got.Status, name)
		}
	}
	if got := box.Get("/for-now/who.html", nil); got.Status != http.StatusNotFound {
		t.Errorf("a route that was not saved: status %d", got.Status)
	}
	if from := farmFrom(t, box); from != "saved" {
		t.Errorf("the farm is from %q", from)
	}
	if text := must(t, box, "GET", "/farm", ""); !strings.Contains(text, fmt.Sprintf(`"url": "http://10.0.2.2:%d"`, f.Port)) {
		t.Errorf("the farm is\n%s", text)
	}
}
