package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// farmEditor is somebody at the admin socket who works on the farm.
type farmEditor struct {
	t      *testing.T
	client *http.Client
}

// ask makes a request; match is If-Match, "" for none.
func (e *farmEditor) ask(method, path, match, body string) (status int, tag, text string) {
	e.t.Helper()
	request, err := http.NewRequestWithContext(e.t.Context(), method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if match != "" {
		request.Header.Set("If-Match", match)
	}
	answer, err := e.client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("ETag"), string(all)
}

// must makes a change that has to succeed, whatever the farm is.
func (e *farmEditor) must(method, path, body string) {
	e.t.Helper()
	if status, _, text := e.ask(method, path, "*", body); status != http.StatusOK {
		e.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
}

// status is what GET /status says of the farm.
func (e *farmEditor) status() farmStatus {
	e.t.Helper()
	var now status
	if code, _, text := e.ask("GET", "/status", "", ""); code != http.StatusOK || json.Unmarshal([]byte(text), &now) != nil {
		e.t.Fatalf("%d %s", code, text)
	}
	return now.Farm
}

// editedFarm is the program in front of the servers 127.0.0.41, .42 and .43, of which
// its configuration names the first.
type editedFarm struct {
	farmEditor
	front  *process
	dir    string
	config string
	url    map[string]string // of the servers, by the last number of their addresses
}

func newEditedFarm(t *testing.T, settings string) *editedFarm {
	t.Helper()
	servers := newNamedFarm(t, "127.0.0.41", "127.0.0.42", "127.0.0.43")
	f := &editedFarm{dir: t.TempDir(), url: map[string]string{}}
	for _, n := range []string{"41", "42", "43"} {
		f.url[n] = "http://127.0.0." + n + ":" + servers.port
	}
	f.config = `{"admin": "a.sock", ` + settings + ` "backends": [{"url": "` + f.url["41"] + `"}]}`
	write(t, f.dir, "ramjet.json", f.config)
	f.farmEditor = farmEditor{t, socketClient(filepath.Join(f.dir, "a.sock"))}
	f.front = start(t, f.args()...)
	return f
}

func (f *editedFarm) args(more ...string) []string {
	return append([]string{"-config", filepath.Join(f.dir, "ramjet.json"), "-farm", filepath.Join(f.dir, "farm.json")}, more...)
}

// restart ends the program and starts it anew.
func (f *editedFarm) restart() {
	f.t.Helper()
	f.front.stop()
	f.front = start(f.t, f.args()...)
}

// backends is the section of that name.
func (f *editedFarm) backends(numbers ...string) string {
	var all []string
	for _, n := range numbers {
		all = append(all, `{"url": "`+f.url[n]+`"}`)
	}
	return `"backends": [` + strings.Join(all, ", ") + `]`
}

// What is refused, and that it changes nothing.
func TestFarmChangeRefused(t *testing.T) {
	t.Parallel()
	f := newEditedFarm(t, "")
	_, tag, before := f.ask("GET", "/farm", "", "")
	bad := "{\"backends\": [{\"url\": \"htp://a\"}],\n \"pools\": {\"p\": {}}, \"listen\": \":1\"}"
	for _, test := range []struct {
		method, path, match, body string
		status                    int
		want                      string
	}{
		{"POST", "/farm", "*", "{}", 405, ""},
		{"PUT", "/farm", "", "{" + f.backends("42") + "}", 428, "If-Match"},
		{"PATCH", "/farm", "", `{"backends": null}`, 428, "If-Match"},
		{"PUT", "/farm", `"1"`, "{" + f.backends("42") + "}", 412, "somebody else"},
		{"PUT", "/farm", "W/" + tag, "{" + f.backends("42") + "}", 412, "somebody else"},
		{"PATCH", "/farm", `"1", "2"`, `{"backends": null}`, 412, "somebody else"},
		{"DELETE", "/farm", `"1"`, "", 412, "somebody else"},
		{"PUT", "/farm?saved=true", tag, "{" + f.backends("42") + "}", 400, "save=true"},
		{"PUT", "/farm?save=yes", tag, "{" + f.backends("42") + "}", 400, "save=true"},
		{"PUT", "/farm?save=true&save=false", tag, "{" + f.backends("42") + "}", 400, "save=true"},
		{"PUT", "/farm", tag, "", 400, "nothing was sent"},
		{"PUT", "/farm", tag, "{", 400, "farm:1:1: this '{' is never closed"},
		{"PUT", "/farm", tag, bad, 400, `farm:1:23: backends[0].url: scheme "htp" is not one of http, https, unix, http+srv, https+srv` + "\n" +
			`farm:2:17: pools.p: "backends" is missing; write {"backends": [{"url": "http://10.0.0.2:8000"}]}` + "\n" +
			`farm:2:22: listen: not a part of the farm; set it in the configuration file`},
		{"PATCH", "/farm", tag, `{"forward": {"hold": "1s", "hold": "2s"}}`, 400, "patch:1:28: forward.hold: set twice"},
		{"PATCH", "/farm", tag, `[]`, 400, "patch:1:1: expected an object"},
		{"PATCH", "/farm", tag, `{"backends": null, "routes": [{"path": "/a"}]}`, 400, `routes[0]: the pool is missing: "default" are the top-level backends, and there are none`},
		{"PATCH", "/farm", tag, `{"forward": {"tls": {"ca": "none.pem"}}}`, 400, "farm: forward.tls.ca: open " + f.dir + "/none.pem"},
		{"PUT", "/farm", tag, strings.Repeat(" ", 1<<20) + "{}", 400, "larger than 1MiB"},
		{"PUT", "/farm", tag, strings.Repeat(" ", 3<<20), 413, "too long"},
	} {
		status, now, text := f.ask(test.method, test.path, test.match, test.body)
		if status != test.status || !strings.Contains(text, test.want) || status == 412 && now != tag {
			t.Errorf("%s %s with %s, %.99s: %d, %s, %s", test.method, test.path, test.match, test.body, status, now, text)
		}
	}
	if _, now, text := f.ask("GET", "/farm", "", ""); now != tag || text != before {
		t.Errorf("it was changed to %s", text)
	}
	if s := f.status(); s.From != fromConfiguration || s.File != filepath.Join(f.dir, "farm.json") {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "farm.json")); err == nil {
		t.Error("a file was written")
	}
	f.front.wantBody("/", "127.0.0.41")
}

// A farm that is replaced, changed, and given back: what is asked for is what answers,
// and what is shown is what was sent.
func TestFarmChange(t *testing.T) {
	t.Parallel()
	for _, disabled := range []string{"false", "true"} {
		t.Run("loops disabled "+disabled, func(t *testing.T) {
			t.Parallel()
			f := newEditedFarm(t, `"eventloop": {"disabled": `+disabled+`},`)
			_, tag, first := f.ask("GET", "/farm", "", "")
			request, _ := http.NewRequest("GET", "http://admin/farm", nil)
			request.Header.Set("If-None-Match", tag)
			if answer, err := f.client.Do(request); err != nil || answer.StatusCode != http.StatusNotModified {
				t.Errorf("%v, %v", answer, err)
			}

			status, next, shown := f.ask("PUT", "/farm", tag, `{`+f.backends("41")+`, // a comment
				"pools": {"api": {`+f.backends("42")+`}}, "routes": [{"path": "/api/", "pool": "api"}]}`)
			if status != 200 || next != "" || !strings.Contains(shown, `"path": "/api/"`) || strings.Contains(shown, "comment") {
				t.Errorf("%d, ETag %q, %s", status, next, shown)
			}
			f.front.wantBody("/api/x", "127.0.0.42")
			f.front.wantBody("/x", "127.0.0.41")
			if s := f.status(); s.From != fromChange || time.Since(s.Since) > time.Minute || s.Since.IsZero() {
				t.Errorf("%+v", s)
			}
			_, tag, text := f.ask("GET", "/farm", "", "")
			if text != shown {
				t.Errorf("shown is %s, was %s", text, shown)
			}
			// What GET has shown is what there is after it was sent, byte for byte.
			if status, same, _ := f.ask("PUT", "/farm", tag, shown); status != 200 || same != tag {
				t.Errorf("%d, %s, want %s", status, same, tag)
			}
			if status, next, shown = f.ask("PATCH", "/farm", `"0", `+tag, `{"pools": {"api": {`+f.backends("43")+`}}, "forward": {"retries": 1}}`); status != 200 || next == tag || next == "" {
				t.Errorf("%d, %s, %s", status, next, shown)
			}
			f.front.wantBody("/api/x", "127.0.0.43")
			f.must("PATCH", "/farm", `{"pools": null, "routes": null, "forward": {"retries": null}}`)
			if _, now, text := f.ask("GET", "/farm", "", ""); text != first || now == "" {
				t.Errorf("taken back it is %s", text)
			}
			f.must("PUT", "/farm", `{}`) // Nobody is behind any more.
			if a, err := f.front.get("/x"); err != nil || a.status != http.StatusNotFound {
				t.Errorf("%v, %v", a, err)
			}
			if status, _, text := f.ask("DELETE", "/farm", "", ""); status != 200 || text != first {
				t.Errorf("%d, %s", status, text)
			}
			f.front.wantBody("/api/x", "127.0.0.41")
			if s := f.status(); s.From != fromConfiguration {
				t.Errorf("%+v", s)
			}

			// A reload goes back to the files.
			f.must("PUT", "/farm", `{`+f.backends("42")+`}`)
			f.front.wantBody("/x", "127.0.0.42")
			if status, _, text := f.ask("POST", "/reload", "", ""); status != 200 || !strings.Contains(text, "the farm is the configuration's own again") {
				t.Errorf("%d, %s", status, text)
			}
			f.front.wantBody("/x", "127.0.0.41")
			// One that fails does not.
			f.must("PUT", "/farm", `{`+f.backends("42")+`}`)
			write(t, f.dir, "ramjet.json", "{")
			f.front.signal(syscall.SIGHUP)
			f.front.wait("not reloaded")
			f.front.wantBody("/x", "127.0.0.42")
		})
	}
}

// A farm that was saved is there after a restart, and a broken one hurts nobody.
func TestFarmSaved(t *testing.T) {
	t.Parallel()
	f := newEditedFarm(t, "")
	file := filepath.Join(f.dir, "farm.json")
	write(t, f.dir, "ca.pem", newAuthority(t).pem)
	f.must("PUT", "/farm?save=true", `{`+f.backends("41")+`, "forward": {"tls": {"ca": "ca.pem"}}, "pools": {"api": {`+f.backends("42")+`}}, "routes": [{"path": "/api/", "pool": "api"}]}`)
	saved := f.status()
	if info, err := os.Stat(file); saved.From != fromSaved || err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%+v, %v, %v", saved, info, err)
	}
	_, _, shown := f.ask("GET", "/farm", "", "")
	if text, err := os.ReadFile(file); err != nil || string(text) != shown || !strings.Contains(shown, `"`+f.dir+`/ca.pem"`) {
		t.Errorf("%v, in the file is\n%s\nshown is\n%s", err, text, shown)
	}
	f.must("PATCH", "/farm", `{"routes": []}`) // For now.
	f.front.wantBody("/api/x", "127.0.0.41")
	if s := f.status(); s.From != fromChange {
		t.Errorf("%+v", s)
	}
	if status, _, text := f.ask("POST", "/reload", "", ""); status != 200 || !strings.Contains(text, "the farm is the saved one") {
		t.Errorf("%d, %s", status, text)
	}
	f.front.wantBody("/api/x", "127.0.0.42")
	f.restart()
	f.front.wantBody("/api/x", "127.0.0.42")
	if s := f.status(); s.From != fromSaved {
		t.Errorf("%+v", s)
	}
	if _, _, text := f.ask("GET", "/farm", "", ""); text != shown {
		t.Errorf("after a restart it is %s", text)
	}
	if out, errs, status := output(t, f.args("-check")...); status != 0 || !strings.Contains(out, "\nfarm           "+file) || !strings.Contains(out, f.url["42"]+", weight 1, pool api") {
		t.Errorf("-check: %d\n%s%s", status, out, errs)
	}
	if out, errs, status := output(t, f.args("-explain", "/api/x")...); status != 0 || !strings.Contains(out, "path /api/: matches") {
		t.Errorf("-explain: %d\n%s%s", status, out, errs)
	}

	// Broken while it is in force: it stays as it was.
	write(t, f.dir, "farm.json", "{\n \"backends\": [{\"url\": \"htp://a\"}]}")
	complaint := file + `:2:23: backends[0].url: scheme "htp" is not one of http, https, unix, http+srv, https+srv`
	if status, _, text := f.ask("POST", "/reload", "", ""); status != 200 || !strings.Contains(text, "the saved farm cannot be used: "+complaint) {
		t.Errorf("%d, %s", status, text)
	}
	f.front.wantBody("/api/x", "127.0.0.42")
	if s := f.status(); s.From != fromSaved || s.Trouble != complaint {
		t.Errorf("%+v", s)
	}
	// Broken at the start: the configuration's own serves.
	f.restart()
	f.front.wait("the saved farm cannot be used, the configuration's own serves")
	f.front.wantBody("/api/x", "127.0.0.41")
	if s := f.status(); s.From != fromConfiguration || s.Trouble != complaint {
		t.Errorf("%+v", s)
	}
	if out, errs, status := output(t, f.args("-check")...); status != 2 || !strings.Contains(errs, complaint) || strings.Contains(out, "ok") {
		t.Errorf("-check: %d\n%s%s", status, out, errs)
	}
	if out, errs, status := output(t, f.args("-explain", "/api/x")...); status != 0 || !strings.Contains(out, f.url["41"]) || !strings.Contains(errs, "the saved farm cannot be used") {
		t.Errorf("-explain: %d\n%s%s", status, out, errs)
	}
	// And no reload is refused for it.
	if status, _, text := f.ask("POST", "/reload", "", ""); status != 200 {
		t.Errorf("%d, %s", status, text)
	}
	f.must("PATCH", "/farm?save=true", `{`+f.backends("43")+`}`) // Over the broken one.
	if s := f.status(); s.From != fromSaved || s.Trouble != "" {
		t.Errorf("%+v", s)
	}
	f.front.wantBody("/x", "127.0.0.43")

	// Given back for good.
	f.must("DELETE", "/farm", "")
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is still there")
	}
	f.restart()
	f.front.wantBody("/x", "127.0.0.41")

	// Where it cannot be saved nothing changes.
	if err := os.Mkdir(file, 0o755); err != nil {
		t.Fatal(err)
	}
	f.restart()
	f.front.wait("not a regular file")
	f.front.wantBody("/x", "127.0.0.41")
	f.front.stop()
	f.front = start(t, "-config", filepath.Join(f.dir, "ramjet.json"), "-farm", filepath.Join(f.dir, "none", "farm.json"))
	if status, _, text := f.ask("PUT", "/farm?save=true", "*", `{`+f.backends("42")+`}`); status != 500 || !strings.Contains(text, "nothing changed") {
		t.Errorf("%d, %s", status, text)
	}
	f.front.wantBody("/x", "127.0.0.41")
	f.front.stop()
	f.front = start(t, "-config", filepath.Join(f.dir, "ramjet.json"))
	if status, _, text := f.ask("PUT", "/farm?save=true", "*", `{`+f.backends("42")+`}`); status != 400 || !strings.Contains(text, "-farm FILE") {
		t.Errorf("%d, %s", status, text)
	}
	f.front.wantBody("/x", "127.0.0.41")
}

// The farm changes under load: no request fails, no tunnel of a backend is cut, not even
// of one that leaves, and what is known of those that stay is kept.
func TestFarmChangeUnderLoad(t *testing.T) {
	t.Parallel()
	for _, disabled := range []string{"false", "true"} {
		t.Run("loops disabled "+disabled, func(t *testing.T) {
			t.Parallel()
			f := newEditedFarm(t, `"eventloop": {"disabled": `+disabled+`},`)
			tunnel, err := net.Dial("tcp", f.front.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer tunnel.Close()
			tunnel.SetDeadline(time.Now().Add(2 * patience))
			in := bufio.NewReader(tunnel)
			io.WriteString(tunnel, "GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			if answer, err := http.ReadResponse(in, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(answer, err)
			}
			echo := func(when string) {
				t.Helper()
				fmt.Fprintf(tunnel, "%s\n", when)
				if text, err := in.ReadString('\n'); text != when+"\n" || err != nil {
					t.Errorf("the tunnel %s: %q, %v", when, text, err)
				}
			}
			echo("at the beginning")
			f.must("PATCH", "/farm", `{`+f.backends("41", "42")+`}`)
			f.must("PATCH", "/backends", `{"default": {"`+f.url["42"]+`": "drain"}}`)

			var mu sync.Mutex
			var failed []string
			stop := make(chan struct{})
			var clients sync.WaitGroup
			asked := 0
			for range 4 {
				client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
				clients.Go(func() {
					defer client.CloseIdleConnections()
					for {
						select {
						case <-stop:
							return
						default:
						}
						answer, err := client.Get("http://" + f.front.listen + "/api/who?")
						text := []byte(nil)
						if err == nil {
							text, err = io.ReadAll(answer.Body)
							answer.Body.Close()
						}
						mu.Lock()
						if asked++; err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(text), "127.0.0.4") {
							failed = append(failed, fmt.Sprint(err, string(text)))
						}
						mu.Unlock()
					}
				})
			}
			for i := range 25 {
				api := []string{"41", "43"}[i%2]
				f.must("PATCH", "/farm", fmt.Sprintf(`{"pools": {"api": {%s, "forward": {"retries": %d}}}, "routes": [{"path": "/api/", "pool": "api"}]}`, f.backends(api), i%10))
				time.Sleep(20 * time.Millisecond)
			}
			echo("after changes")
			close(stop)
			clients.Wait()
			if len(failed) > 0 || asked < 100 {
				t.Errorf("%d of %d failed: %.300q", len(failed), asked, failed)
			}
			if _, _, text := f.ask("GET", "/backends", "", ""); !strings.Contains(text, `"`+f.url["42"]+`": "drain"`) {
				t.Errorf("the drained one is not any more: %s", text)
			}
			f.must("PUT", "/farm", `{`+f.backends("43")+`}`)
			f.front.wantBody("/x", "127.0.0.43")
			echo("of one that left")
			f.must("DELETE", "/farm", "")
			f.front.wantBody("/x", "127.0.0.41")
			echo("of one that is back")
		})
	}
}

// Editors who change at the same time lose nothing: who was too late is told, looks
// again, and has his change in.
func TestFarmEditors(t *testing.T) {
	t.Parallel()
	f := newEditedFarm(t, "")
	const editors, changes = 4, 5
	var all sync.WaitGroup
	for e := range editors {
		all.Go(func() {
			for n := range changes {
				for tries := 0; ; tries++ {
					_, tag, text := f.ask("GET", "/farm", "", "")
					var now struct {
						Routes []map[string]any `json:"routes"`
					}
					if err := json.Unmarshal([]byte(text), &now); err != nil {
						t.Error(err)
						return
					}
					next, _ := json.Marshal(map[string]any{"routes": append(now.Routes, map[string]any{"path": fmt.Sprintf("/editor%d/change%d/", e, n)})})
					status, _, text := f.ask("PATCH", "/farm", tag, string(next))
					if status == http.StatusOK {
						break
					}
					if status != http.StatusPreconditionFailed || tries > 500 {
						t.Errorf("%d %s", status, text)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if _, _, text := f.ask("GET", "/farm", "", ""); strings.Count(text, `"path": "/editor`) != editors*changes {
		t.Errorf("changes were lost:\n%s", text)
	}
}

// The backend of the flag is a part of the farm that is shown, and can be changed too.
func TestFarmOfFlag(t *testing.T) {
	t.Parallel()
	servers := newNamedFarm(t, "127.0.0.44", "127.0.0.45")
	dir := t.TempDir()
	front := start(t, "-backend", "http://127.0.0.44:"+servers.port, "-admin", filepath.Join(dir, "a.sock"))
	e := farmEditor{t, socketClient(filepath.Join(dir, "a.sock"))}
	if _, _, text := e.ask("GET", "/farm", "", ""); !strings.Contains(text, `"url": "http://127.0.0.44:`+servers.port+`"`) {
		t.Error(text)
	}
	e.must("PATCH", "/farm", `{"backends": [{"url": "http://127.0.0.45:`+servers.port+`"}]}`)
	front.wantBody("/x", "127.0.0.45")
	e.must("DELETE", "/farm", "")
	front.wantBody("/x", "127.0.0.44")
}

// However many names pools are given, what is kept of those that are gone is bounded.
func TestFarmOfManyNames(t *testing.T) {
	t.Parallel()
	records := &poolRecords{log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- records.Run(ctx) }()
	for n := range 2 * maxRecords {
		l, err := parsed("ramjet.json", fmt.Appendf(nil, `{"pools": {"p%d": {"backends": [{"url": "http://127.0.0.1:1"}]}}}`, n))
		if err != nil {
			t.Fatal(err)
		}
		f, err := newFarm(l.own, nil, records, nil, records.log)
		if err != nil {
			t.Fatal(err)
		}
		records.watch(f)
		if records.byName[fmt.Sprintf("p%d", n)] == nil {
			t.Fatal("the pool that there is has no record")
		}
	}
	if n := len(records.byName); n > maxRecords+1 {
		t.Errorf("%d records", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
