package configuration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/appliance/configuration/supervised"
)

func TestMain(m *testing.M) {
	status := m.Run()
	supervised.Remove()
	os.Exit(status)
}

func file(a *supervised.Accelerator) *File {
	return &File{Path: a.Config, Socket: a.Socket, Program: a.Program}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(address string) error {
	answer, err := http.Get("http://" + address + "/")
	if err == nil {
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s", answer.Status)
		}
	}
	return err
}

func TestCheck(t *testing.T) {
	f := &File{Path: t.TempDir() + "/ramjet.json", Program: supervised.Program(t)}
	for _, test := range []struct{ text, want string }{
		{"{\n  \"limit\": {}}", f.Path + `:2:3: limit: unknown setting; did you mean "limits"?`},
		{"{", f.Path + ":1:1: "},
		{"\x00\xff", f.Path + ":1:2: not UTF-8"},
		{strings.Repeat("[", MaxFile), f.Path + ":"},
		{strings.Repeat(" ", MaxFile+1), "larger than"},
		{`{"forward": {"tls": {"ca": "none.pem"}}, "backends": [{"url": "https://10.0.0.1"}]}`, "none.pem: no such file"},
	} {
		if err := f.Check(t.Context(), []byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), ".check") {
			t.Errorf("%.40q: %v, want %q", test.text, err, test.want)
		}
	}
	for _, text := range []string{"", "{}", "// nothing\n"} {
		if err := f.Check(t.Context(), []byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if left, err := os.ReadDir(strings.TrimSuffix(f.Path, "/ramjet.json")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	f.Program += ".none"
	if err := f.Check(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "cannot be asked") {
		t.Error(err)
	}
}

func TestApply(t *testing.T) {
	a := supervised.Start(t)
	f := file(a)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	write(t, a.Config, `{"server": "new"}`)
	if said, err := f.Apply(ctx); err != nil || !strings.Contains(said, "reloaded "+a.Config) || a.Count() != 1 {
		t.Errorf("%q, %v, %d starts", said, err, a.Count())
	}
	write(t, a.Config, "{")
	if _, err := f.Apply(ctx); err == nil || !strings.Contains(err.Error(), a.Config+":1:1") {
		t.Errorf("a broken file: %v", err)
	}
	other := supervised.FreeAddress(t)
	write(t, a.Config, fmt.Sprintf(`{"listen": %q}`, other))
	if said, err := f.Apply(ctx); err != nil || !strings.Contains(said, "started again") || a.Count() != 2 {
		t.Errorf("%q, %v, %d starts", said, err, a.Count())
	}
	if err := get(other); err != nil {
		t.Error(err)
	}
	// An address that the machine does not have: it never comes up. With the old file it does.
	write(t, a.Config, `{"listen": "192.0.2.1:80"}`)
	short, cancelShort := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancelShort()
	if _, err := f.Apply(short); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
	write(t, a.Config, "")
	if _, err := f.Apply(ctx); err != nil {
		t.Error(err)
	}
	if err := get(a.Listen); err != nil {
		t.Error(err)
	}
	if err := f.Overruled(ctx); err != nil {
		t.Error(err)
	}
	write(t, a.Over, "{}")
	if _, err := f.Apply(ctx); err != nil {
		t.Error(err)
	}
	if err := f.Overruled(ctx); err == nil || !strings.Contains(err.Error(), a.Over) {
		t.Error(err)
	}
}

// Reloads drop nothing: clients are served while the configuration changes again and again.
func TestApplyUnderLoad(t *testing.T) {
	a := supervised.Start(t)
	f := file(a)
	var served atomic.Int64
	var clients sync.WaitGroup
	load, stop := context.WithCancel(t.Context())
	for range 4 {
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for load.Err() == nil {
				answer, err := client.Get("http://" + a.Listen + "/")
				if err != nil {
					t.Errorf("after %d: %v", served.Load(), err)
					return
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Error(answer.Status)
					return
				}
				served.Add(1)
			}
		})
	}
	for n := range 30 {
		write(t, a.Config, fmt.Sprintf(`{"server": "n%d", "forward": {"retries": %d}}`, n, n%5))
		if _, err := f.Apply(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop()
	clients.Wait()
	if served.Load() < 100 || a.Count() != 1 {
		t.Errorf("%d served, %d starts", served.Load(), a.Count())
	}
}
