package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/configuration"
	"ramjet/appliance/configuration/supervised"
	"ramjet/appliance/token"
	"ramjet/appliance/trial"
)

func TestMain(m *testing.M) {
	status := m.Run()
	supervised.Remove()
	os.Exit(status)
}

type onePassword struct{}

func (onePassword) Allowed(user, password string) bool {
	return user == "gokrazy" && password == "secret"
}

// box is an API in front of a real accelerator.
type box struct {
	*supervised.Accelerator
	t      *testing.T
	listen string
	desk   *trial.Desk
}

func start(t *testing.T) *box {
	t.Helper()
	a := supervised.Start(t)
	file := &configuration.File{Path: a.Config, Socket: a.Socket, Program: a.Program}
	subject := &trial.Subject{Name: "config", File: file.Path, Check: file.Check, Apply: file.Apply}
	quiet := slog.New(slog.DiscardHandler)
	desk := &trial.Desk{Dir: filepath.Join(a.Dir, "state"), Subjects: []*trial.Subject{subject}, Log: quiet}
	if err := desk.Open(); err != nil {
		t.Fatal(err)
	}
	tokens, err := token.Open(filepath.Join(a.Dir, "state", "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Accelerator: a, t: t, listen: supervised.FreeAddress(t), desk: desk}
	s := &Server{
		Listen: b.listen, TLS: filepath.Join(a.Dir, "tls"), Password: onePassword{}, Tokens: tokens, Desk: desk,
		Settings: []Setting{{subject, file.Overruled}}, Status: func(context.Context) any { return "well" }, Log: quiet,
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- desk.Run(ctx) }()
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", b.listen); err == nil {
			c.Close()
			return b
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// request is one to the API; with the password unless the header says otherwise.
type request struct {
	method, path, body string
	header             map[string]string
}

type answer struct {
	status int
	header http.Header
	text   string
}

func newClient() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // The certificate has a test of its own.
}

// ask makes a request over a connection of its own.
func (b *box) ask(r request) answer {
	b.t.Helper()
	c := newClient()
	defer c.CloseIdleConnections()
	return b.askOver(c, r)
}

func (b *box) askOver(c *http.Client, r request) answer {
	b.t.Helper()
	q, err := http.NewRequestWithContext(b.t.Context(), r.method, "https://"+b.listen+r.path, strings.NewReader(r.body))
	if err != nil {
		b.t.Fatal(err)
	}
	q.SetBasicAuth("gokrazy", "secret")
	for name, value := range r.header {
		if value == "" {
			q.Header.Del(name)
		} else {
			q.Header.Set(name, value)
		}
	}
	a, err := c.Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{a.StatusCode, a.Header, string(text)}
}

func (b *box) want(r request, status int, words ...string) answer {
	b.t.Helper()
	a := b.ask(r)
	if a.status != status {
		b.t.Errorf("%s %s: %d, want %d: %s", r.method, r.path, a.status, status, a.text)
	}
	for _, w := range words {
		if !strings.Contains(a.text, w) {
			b.t.Errorf("%s %s: no %q in: %s", r.method, r.path, w, a.text)
		}
	}
	return a
}

func (b *box) put(query, body string, header ...string) request {
	h := map[string]string{"If-Match": "*"}
	if len(header) == 2 {
		h[header[0]] = header[1]
	}
	return request{"PUT", "/config" + query, body, h}
}

func (b *box) waitEnd() {
	b.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, on := b.desk.Current(); !on {
			return
		} else if time.Now().After(deadline) {
			b.t.Fatal("the trial does not end")
		}
	}
}

func (b *box) file() string {
	b.t.Helper()
	text, err := os.ReadFile(b.Config)
	if os.IsNotExist(err) {
		return "(none)"
	} else if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// server is the Server field of the accelerator's answers.
func (b *box) server(address string) string {
	b.t.Helper()
	a, err := http.Get("http://" + address + "/")
	if err != nil {
		return err.Error()
	}
	a.Body.Close()
	return a.Header.Get("Server")
}

func TestRefused(t *testing.T) {
	b := start(t)
	b.want(b.put("", `{"server": "old"}`), 200)
	b.want(request{"POST", "/config/confirm", "", nil}, 200, `"how": "confirmed"`)
	old := b.file()
	for _, test := range []struct {
		name   string
		r      request
		status int
		want   string
	}{
		{"nobody", request{"GET", "/config", "", map[string]string{"Authorization": ""}}, 401, "who are you"},
		{"a token that nobody made", request{"GET", "/config", "", map[string]string{"Authorization": "Bearer x"}}, 401, ""},
		{"a page of another site", b.put("", "{}", "Origin", "https://evil.example"), 403, ""},
		{"no condition", request{"PUT", "/config", "{}", nil}, 428, "If-Match"},
		{"another text than the one seen", b.put("", "{}", "If-Match", `"1"`), 412, "somebody else"},
		{"a weak tag", b.put("", "{}", "If-Match", "W/"+tag([]byte(old))), 412, ""},
		{"too long", b.put("", strings.Repeat(" ", MaxText+1)), 413, "longer than"},
		{"broken", b.put("", "{\n  \"limit\": 1}"), 422, "ramjet.json:2:3: limit: unknown setting"},
		{"broken, dry", b.put("?dry-run=true", "{\n  \"limit\": 1}"), 422, "ramjet.json:2:3: limit: unknown setting"},
		{"seen another, dry", b.put("?dry-run=true", "{}", "If-Match", `"1"`), 412, ""},
		{"not text", b.put("", "\xff\xfe\x00"), 422, "UTF-8"},
		{"deep", b.put("", strings.Repeat(`{"limits":`, 90_000)), 422, "ramjet.json:"},
		{"unknown query", b.put("?dryrun=true", "{}"), 400, "dry-run"},
		{"too short a time", b.put("?within=1s", "{}"), 400, "within"},
		{"too long a time", b.put("?within=2h", "{}"), 400, "within"},
		{"an address that cannot be had", b.put("?within=5s", `{"content": {"root": "none"}, "listen": "256.0.0.1:80"}`), 422, "listen"},
		{"nothing to confirm", request{"POST", "/config/confirm", "", nil}, 404, "nothing to confirm"},
		{"nothing to revert", request{"POST", "/config/revert", "", nil}, 404, ""},
		{"no entry", request{"GET", "/config/history/99", "", nil}, 404, "no such entry"},
		{"no entry to restore", request{"POST", "/config/history/x/restore", "", nil}, 404, ""},
		{"no call", request{"GET", "/none", "", nil}, 404, ""},
		{"no method", request{"DELETE", "/config", "", nil}, 405, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			sub := *b
			sub.t = t
			sub.want(test.r, test.status, test.want)
		})
	}
	if b.file() != old || b.server(b.Listen) != "old" {
		t.Errorf("something changed: %s, %s", b.file(), b.server(b.Listen))
	}
}

func TestChange(t *testing.T) {
	b := start(t)
	a := b.want(request{"GET", "/config", "", nil}, 200)
	if a.text != "" {
		t.Errorf("no file: %q", a.text)
	}
	b.want(b.put("?dry-run=true", "{\"server\": \"a\"}\n"), 200, `+{\"server\": \"a\"}`, "nothing was changed")
	if b.file() != "(none)" {
		t.Error("a look has changed something")
	}
	// The connection of the change does not do for the confirmation.
	c := newClient()
	one := b.askOver(c, b.put("", `{"server": "a"}`, "If-Match", a.header.Get("ETag")))
	if one.status != 200 || b.server(b.Listen) != "a" || one.header.Get("Connection") != "close" && one.header.Get("ETag") == "" {
		t.Fatalf("%d %s", one.status, one.text)
	}
	// Two editors.
	busy := b.want(b.put("", `{"server": "b"}`, "If-Match", a.header.Get("ETag")), 409, "gokrazy", "until")
	if busy.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	b.want(request{"GET", "/status", "", nil}, 200, `"state": "waiting for its confirmation"`, `"box": "well"`)
	b.want(request{"POST", "/config/confirm", "", nil}, 200, `"how": "confirmed"`)
	b.want(b.put("", `{"server": "b"}`, "If-Match", a.header.Get("ETag")), 412)
	b.want(b.put("", `{"server": "a"}`), 200, "nothing was changed")

	// Not confirmed, with a listener of its own.
	other := supervised.FreeAddress(t)
	b.want(b.put("?within=5s", fmt.Sprintf(`{"server": "b", "listen": %q}`, other)), 200, "started again")
	if got := b.server(other); got != "b" {
		t.Error(got)
	}
	b.waitEnd()
	if b.file() != `{"server": "a"}` || b.server(b.Listen) != "a" {
		t.Errorf("%s, %s", b.file(), b.server(b.Listen))
	}
	// By hand, and back; the file did not exist at first.
	b.want(request{"POST", "/config/history/1/restore", "", nil}, 200, "restored from 1", `-{\"server\": \"a\"}`)
	if b.file() != "(none)" || b.server(b.Listen) != "ramjet" {
		t.Errorf("%s, %s", b.file(), b.server(b.Listen))
	}
	b.want(request{"POST", "/config/revert", "", nil}, 202)
	b.waitEnd()
	b.want(request{"POST", "/config/history/1/restore?dry-run=true", "", nil}, 200, "nothing was changed")
	var all []trial.Entry
	text := b.want(request{"GET", "/config/history", "", nil}, 200).text
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 4 {
		t.Fatalf("%v: %s", err, text)
	}
	for i, want := range []trial.How{trial.Reverted, trial.Reverted, trial.Confirmed, trial.Found} {
		if all[i].How != want || i < 3 && (all[i].Who != "gokrazy" || all[i].From != "127.0.0.1") {
			t.Errorf("%d: %+v", i, all[i])
		}
	}
	b.want(request{"GET", "/config/history/3", "", nil}, 200, `listen`, "not confirmed within 5s")
	// The content partition's own.
	if err := os.WriteFile(b.Over, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := configuration.File{Path: b.Config, Socket: b.Socket, Program: b.Program}
	if _, err := file.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want(b.put("", "{}"), 409, b.Over, "remove or rename it")
}

// A change over a connection that stays open is not confirmed over it.
func TestSameConnection(t *testing.T) {
	b := start(t)
	conn, err := tls.Dial("tcp", b.listen, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	b.want(b.put("", `{"server": "a"}`), 200)
	fmt.Fprint(conn, "POST /config/confirm HTTP/1.1\r\nHost: box\r\nAuthorization: Basic Z29rcmF6eTpzZWNyZXQ=\r\nContent-Length: 0\r\n\r\n")
	said, err := io.ReadAll(conn) // It ends: "Connection: close".
	if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 409 ") || !strings.Contains(string(said), "new connection") {
		t.Errorf("%s, %v", said, err)
	}
	b.want(request{"POST", "/config/confirm", "", nil}, 200)
}

func TestTokens(t *testing.T) {
	b := start(t)
	b.want(request{"POST", "/tokens", `{"name": "x", "scope": []}`, nil}, 400, "unknown field")
	b.want(request{"POST", "/tokens", `{"name": "x", "scopes": ["root"]}`, nil}, 400, "not one of")
	b.want(request{"POST", "/tokens", strings.Repeat(" ", 5000), nil}, 400)
	var made Made
	text := b.want(request{"POST", "/tokens", `{"name": "editor", "scopes": ["config"]}`, nil}, 201).text
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Secret == "" || made.Hash != "" {
		t.Fatalf("%v %s", err, text)
	}
	as := map[string]string{"Authorization": "Bearer " + made.Secret, "If-Match": "*"}
	b.want(request{"GET", "/config", "", as}, 200)
	b.want(request{"GET", "/status", "", as}, 403, "not for status")
	b.want(request{"GET", "/tokens", "", as}, 403)
	b.want(request{"PUT", "/config", `{"server": "a"}`, as}, 200, "token "+made.ID+" (editor)")
	b.want(request{"POST", "/config/confirm", "", nil}, 403, "somebody else")
	b.want(request{"POST", "/config/confirm", "", as}, 200)
	if text := b.want(request{"GET", "/tokens", "", nil}, 200, made.ID, "editor").text; strings.Contains(text, "hash") || strings.Contains(text, made.Secret) {
		t.Error(text)
	}
	b.want(request{"DELETE", "/tokens/" + made.ID, "", nil}, 204)
	b.want(request{"DELETE", "/tokens/" + made.ID, "", nil}, 404)
	b.want(request{"GET", "/config", "", as}, 401)
}

func TestGuesses(t *testing.T) {
	b := start(t)
	wrong := request{"GET", "/status", "", map[string]string{"Authorization": "Bearer guess"}}
	for range freeGuesses {
		b.want(wrong, 401)
	}
	if a := b.want(wrong, 429); a.header.Get("Retry-After") == "" || a.header.Get("Retry-After") == "0" {
		t.Errorf("%v", a.header)
	}
	b.want(request{"GET", "/status", "", nil}, 429) // The right one as well: it must not show.

	// In all: many addresses.
	g := &guesses{}
	g.right("friend")
	for n := range allGuesses {
		g.wrong(fmt.Sprint(n))
	}
	if g.wait("another") <= 0 || g.wait("friend") != 0 {
		t.Errorf("another waits %v, a friend %v", g.wait("another"), g.wait("friend"))
	}
	for n := range 3 * maxAddresses {
		g.wrong(fmt.Sprint(n))
	}
	if len(g.by) > maxAddresses || g.by["friend"] == nil {
		t.Errorf("%d remembered", len(g.by))
	}
}

// Who connects and says nothing, or slowly, keeps nobody out.
func TestSlowClients(t *testing.T) {
	b := start(t)
	for n := range 20 {
		c, err := net.Dial("tcp", b.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n%2 == 0 {
			continue // Not even TLS.
		}
		s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		fmt.Fprint(s, "PUT /config HTTP/1.1\r\nHost: box\r\nIf-Match: *\r\nAuthorization: Basic Z29rcmF6eTpzZWNyZXQ=\r\nContent-Length: 100\r\n\r\n{")
	}
	b.want(request{"GET", "/status", "", nil}, 200)
	b.want(b.put("", `{"server": "a"}`), 200)
}

func TestCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	first, err := certificate(dir, logger)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := Fingerprint(first.Leaf.Raw)
	if !strings.Contains(log.String(), fingerprint) || !strings.HasPrefix(fingerprint, "SHA256:") {
		t.Errorf("%s is not in the log:\n%s", fingerprint, &log)
	}
	if err := first.Leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	again, err := certificate(dir, logger)
	if err != nil || Fingerprint(again.Leaf.Raw) != fingerprint {
		t.Errorf("the second start has another one: %v", err)
	}
	file := filepath.Join(dir, "box.pem")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other, err := certificate(dir, logger); err != nil || Fingerprint(other.Leaf.Raw) == fingerprint {
		t.Errorf("instead of a broken one: %v", err)
	}
	if _, err := os.Stat(file + ".broken"); err != nil {
		t.Error(err)
	}
}
