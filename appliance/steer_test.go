package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/appliance/access"
	"ramjet/appliance/command"
	"ramjet/appliance/configuration/supervised"
	"ramjet/appliance/trial"
)

// box is the real program beside a real accelerator.
type box struct {
	*supervised.Accelerator
	t   *testing.T
	api string
	cmd *exec.Cmd
	log *bytes.Buffer
}

func startBox(t *testing.T) *box {
	t.Helper()
	b := &box{Accelerator: supervised.Start(t), t: t, api: supervised.FreeAddress(t), log: new(bytes.Buffer)}
	if err := os.WriteFile(b.path("password"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			t.Logf("the appliance said:\n%s", b.log)
		}
	})
	return b
}

func (b *box) path(name string) string { return filepath.Join(b.Dir, name) }

func (b *box) start() {
	b.t.Helper()
	b.cmd = program(context.Background(), "-label", "nobody has it", "-run", b.path("run"), "-fallback", b.path("site"), "-admin", b.Socket, "-control", "", "-update", "",
		"-api", b.api, "-password", b.path("password"), "-state", b.path("state"), "-config", b.Config, "-accelerator", b.Program)
	b.cmd.Stderr = b.log
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	wait(b.t, "the API", func() bool {
		c, err := net.Dial("tcp", b.api)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends the appliance without a word.
func (b *box) kill() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// say runs a command against the box.
func (b *box) say(in, name string, words ...string) (out string, status int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := program(ctx, append([]string{name, "-box", b.api, "-password-file", b.path("password"), "-known", b.path("known")}, words...)...)
	cmd.Stdin = strings.NewReader(in)
	text, err := cmd.CombinedOutput()
	return string(text), exitStatus(b.t, err)
}

// want is say with what is expected.
func (b *box) want(status int, word, in, name string, words ...string) string {
	b.t.Helper()
	out, got := b.say(in, name, words...)
	if got != status || !strings.Contains(out, word) {
		b.t.Errorf("%s %q: exit status %d, want %d and %q:\n%s", name, words, got, status, word, out)
	}
	return out
}

// serves reports whether the accelerator at the address calls itself that.
func serves(address, name string) bool {
	a, err := http.Get("http://" + address + "/")
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, a.Body)
	a.Body.Close()
	return a.Header.Get("Server") == name
}

func (b *box) history() []trial.Entry {
	b.t.Helper()
	d := &trial.Desk{Dir: b.path("state/trial")}
	all, err := d.History(&trial.Subject{Name: "config"})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func TestCommands(t *testing.T) {
	b := startBox(t)
	t.Setenv("XDG_CONFIG_HOME", b.Dir)
	b.want(1, "is not known yet", "", "config", "show")
	b.want(1, "the fingerprint of", "", "config", "-fingerprint", "SHA256:other", "show")
	b.want(0, "", "", "config", "-accept-new", "show")
	for _, test := range []struct {
		name  string
		words []string
		want  string
	}{
		{"config", nil, "config what? One of show"},
		{"config", []string{"shwo"}, "One of show"},
		{"config", []string{"set", "a"}, "2 words expected"},
		{"config", []string{"-nonsense", "show"}, "-nonsense"},
		{"token", []string{"make"}, "token make NAME"},
		{"status", []string{"x"}, "unexpected"},
	} {
		b.want(2, test.want, "", test.name, test.words...)
	}
	b.want(0, "EDITOR", "", "config", "-h")

	b.want(0, "confirmed: it stays", "", "config", "-yes", "set", "server", "one")
	b.want(0, `{"server": "one"}`, "", "config", "show")
	b.want(0, "nothing would change", "", "config", "-yes", "set", "server", "one")
	b.want(1, "ramjet.json:1:", "", "config", "-yes", "set", "limits.idle", "1s")
	b.want(1, "ramjet.json:2:1", "\n}", "config", "-yes", "put", "-")
	b.want(0, "on trial", `{"server": "two"} // by put`, "config", "put", "-")
	b.want(1, "a change of config by gokrazy", "", "config", "-yes", "set", "server", "three")
	b.want(0, "waiting for its confirmation", "", "status")
	b.want(0, "confirmed", "", "config", "confirm")
	b.want(1, "nothing to confirm", "", "config", "confirm")

	editor := b.path("editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nsed -i s/two/edited/ \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", editor)
	b.want(0, `+{"server": "edited"} // by put`, "", "config", "-yes", "edit")
	if !serves(b.Listen, "edited") {
		t.Error("the edited configuration is not at work")
	}
	b.want(0, "confirmed", "", "config", "history")
	b.want(0, `{"server": "one"}`, "", "config", "history", "2")
	b.want(0, "confirmed", "", "config", "-yes", "restore", "2")
	b.want(0, "confirmed", "", "config", "-yes", "unset", "server")
	b.want(0, "on trial", "{}", "config", "-within", "5s", "put", "-")
	b.want(0, "taken back", "", "config", "revert")

	// The network is the machine's, so none is tried here; vmtest/config does.
	b.want(1, "network.json:2:1", "[", "network", "put", "-")
	b.want(1, "the box has no interface none0; it has", `{"interfaces": {"none0": {"addresses": ["192.0.2.1/24"]}}}`, "network", "put", "-")
	b.want(0, "", "", "network", "history")

	secret := b.want(0, "ramjet_", "", "token", "make", "reader", "status")
	secret = secret[strings.Index(secret, "ramjet_"):]
	if err := os.WriteFile(b.path("token"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	var status struct{ Box boxStatus }
	text := b.want(0, "", "", "status", "-token-file", b.path("token"))
	if err := json.Unmarshal([]byte(text), &status); err != nil || status.Box.Version != "dev" || status.Box.Accelerator == nil {
		t.Errorf("%v: %s", err, text)
	}
	wait(t, "the box is healthy", func() bool {
		out, status := b.say("", "health", "-token-file", b.path("token"))
		if !strings.Contains(out, `"serving/content"`) || status == 0 != strings.Contains(out, `"healthy": true`) {
			t.Fatalf("exit status %d: %s", status, out)
		}
		return status == 0
	})
	b.want(1, "not for config", "", "config", "-token-file", b.path("token"), "show")

	known, err := os.ReadFile(b.path("known"))
	if err != nil || strings.Count(string(known), "\n") != 1 {
		t.Errorf("%s, %v", known, err)
	}
	if err := os.WriteFile(b.path("known"), []byte(b.api+" SHA256:another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.want(1, "another certificate than before", "", "config", "-accept-new", "show")
}

// What is not confirmed does not outlive the appliance, nor does it confuse the next one.
func TestKilledBeforeConfirmation(t *testing.T) {
	b := startBox(t)
	b.want(0, "confirmed", "", "config", "-accept-new", "-yes", "set", "server", "old")
	other := supervised.FreeAddress(t)
	b.want(0, "on trial", fmt.Sprintf(`{"server": "new", "listen": %q}`, other), "config", "-within", "1h", "put", "-")
	if !serves(other, "new") {
		t.Error("the new listener does not answer")
	}
	b.kill()
	b.start()
	wait(t, "the old listener", func() bool { return serves(b.Listen, "old") })
	wait(t, "the history", func() bool { return len(b.history()) == 3 })
	if e := b.history()[0]; e.How != trial.Reverted || !strings.Contains(e.Why, "started anew") {
		t.Errorf("%+v", e)
	}
	b.want(0, "confirmed", "", "config", "-yes", "set", "server", "newer")
}

// The appliance is killed at many moments of a trial; whatever was not confirmed is gone when the next one is up.
func TestKilledAnywhere(t *testing.T) {
	b := startBox(t)
	b.want(0, "confirmed", "", "config", "-accept-new", "-yes", "set", "server", "old")
	old, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	record := b.path("state/trial/trial.json")
	ask := func(method, body string) {
		client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		request, err := http.NewRequest(method, "https://"+b.api+"/config", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		request.SetBasicAuth(access.User, "secret")
		request.Header.Set("If-Match", "*")
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
		}
	}
	left := 0
	for n, after := range []time.Duration{0, 0, 0, 1, 2, 3, 5, 8, 12, 20, 50} {
		ask("GET", "") // The password is known from here on.
		var client sync.WaitGroup
		client.Go(func() { ask("PUT", fmt.Sprintf(`{"server": "n%d"}`, n)) })
		wait(t, "the record", func() bool {
			_, err := os.Stat(record)
			return err == nil
		})
		time.Sleep(after * time.Millisecond)
		b.kill()
		client.Wait()
		if _, err := os.Stat(record); err == nil {
			left++
		}
		b.start()
		wait(t, "the end of the trial", func() bool {
			_, err := os.Stat(record)
			return os.IsNotExist(err)
		})
		if now, err := os.ReadFile(b.Config); err != nil || !bytes.Equal(now, old) {
			t.Fatalf("%d: %s, %v", n, now, err)
		}
		wait(t, "the old configuration", func() bool { return serves(b.Listen, "old") })
	}
	if all := b.history(); left == 0 || len(all) < left {
		t.Errorf("%d were cut off, %d are in the history", left, len(all))
	}
	for _, e := range b.history() {
		if e.Who == access.User && e.ID > 2 && e.How != trial.Reverted {
			t.Errorf("%+v", e)
		}
	}
}

// Somebody is there, and is asked.
func TestAsked(t *testing.T) {
	b := startBox(t)
	edits := []string{`{"sevrer": "x"}`, `{"server": "asked"}`}
	ask := func(in string, words ...string) (out string, status int) {
		var both bytes.Buffer
		terminal := &command.Terminal{
			In: strings.NewReader(in), Out: &both, Err: &both, Asks: true,
			Password: func() (string, error) { return "secret", nil },
			Edit: func(_ context.Context, file string) error {
				text := edits[0]
				edits = edits[1:]
				return os.WriteFile(file, []byte(text), 0o600)
			},
		}
		status = command.Run(append([]string{"config", "-box", b.api, "-known", b.path("known")}, words...), terminal)
		return both.String(), status
	}
	for _, test := range []struct {
		name   string
		in     string
		words  []string
		status int
		says   []string
	}{
		{"no trust", "n\n", []string{"show"}, 1, []string{"SHA256:", "Is it right?", "not connected"}},
		{"trust, and not tried", "y\nn\n", []string{"set", "server", "one"}, 1, []string{`+{"server": "one"}`, "Try it?", "nothing was changed"}},
		{"tried, and not kept", "y\nn\n", []string{"set", "server", "one"}, 0, []string{"Keep it?", "it is taken back"}},
		{"nobody says anything", "", []string{"set", "server", "one"}, 1, []string{"nothing was changed"}},
	} {
		out, status := ask(test.in, test.words...)
		for _, word := range test.says {
			if status != test.status || !strings.Contains(out, word) {
				t.Errorf("%s: exit status %d, want %d and %q:\n%s", test.name, status, test.status, word, out)
			}
		}
		wait(t, "the end of the trial", func() bool {
			_, err := os.Stat(b.path("state/trial/trial.json"))
			return os.IsNotExist(err)
		})
	}
	out, status := ask("y\ny\ny\n", "edit")
	if status != 0 || !strings.Contains(out, `ramjet.json:1:2: sevrer`) || !strings.Contains(out, "Edit it again?") || !strings.Contains(out, "confirmed") || !serves(b.Listen, "asked") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}
