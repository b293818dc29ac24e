package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/configuration/supervised"
)

// admitted waits until a gate finds the box healthy, compared with what was.
func admitted(t *testing.T, g *Gate, was json.RawMessage) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := g.Check(t.Context(), was)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// refused waits until a gate says that.
func refused(t *testing.T, g *Gate, was json.RawMessage, want string) error {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := g.Check(t.Context(), was)
		if err != nil && strings.Contains(err.Error(), want) {
			return err
		}
		if time.Now().After(deadline) {
			t.Fatalf("it says %v, want %q", err, want)
		}
	}
}

// farmOf lets an accelerator have a farm of one server.
func farmOf(t *testing.T, a *supervised.Accelerator) *httptest.Server {
	t.Helper()
	farm := httptest.NewServer(http.NotFoundHandler())
	config := fmt.Sprintf(`{"backends": [{"url": %q}], "health": {"interval": "100ms", "fall": 1}}`, farm.URL)
	if err := os.WriteFile(a.Config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	return farm
}

// The next version is compared with the time before the update, which comes from a file, whatever the tree has kept.
func TestGate(t *testing.T) {
	t.Parallel()
	old, a := tree(t)
	farm := farmOf(t, a)
	until(t, old, "network/farm", OK)
	until(t, old, "programs/accelerator", OK)
	old.starts = nil
	was := (&Gate{Tree: old}).Look(t.Context())
	if !strings.Contains(string(was), `"pools":["default"]`) || strings.Contains(string(was), `"failed"`) {
		t.Fatalf("before: %s", was)
	}
	next := &Gate{Tree: &Tree{Socket: old.Socket, Site: old.Site, Log: quiet}}
	admitted(t, next, was)
	farm.Close()
	err := refused(t, next, was, "network/farm: nobody is up any more of: default")
	var h interface{ Hopeless() bool }
	if !errors.As(err, &h) || h.Hopeless() {
		t.Errorf("a farm may come back: %v", err)
	}
	// What was down before is not missed, also by who knew it earlier; all the rest still counts.
	was = (&Gate{Tree: old, Patience: time.Millisecond}).Look(t.Context())
	if !strings.Contains(string(was), `"failed":["network/farm"]`) && strings.Contains(string(was), "default") {
		t.Errorf("before: %s", was)
	}
	admitted(t, next, was)
	next.Tree.Ports = []string{supervised.FreeAddress(t)}
	refused(t, next, was, "serving/ports")
	next.Tree.Ports = nil
	// Something else than this gate wrote it.
	for _, none := range []string{"", `{"status": 200, "gateway": true}`, "[1]"} {
		admitted(t, next, json.RawMessage(none))
	}
}

// Who asks for what was while all was well does not forgive what fails now.
func TestKnown(t *testing.T) {
	t.Parallel()
	old, a := tree(t)
	farm := farmOf(t, a)
	until(t, old, "network/farm", OK)
	until(t, old, "programs/accelerator", OK)
	old.starts = nil
	(&Keeper{Tree: old}).once(t.Context())
	farm.Close()
	until(t, old, "network/farm", Failed)
	refused(t, &Gate{Tree: old}, (&Gate{Tree: old}).Known(), "network/farm")
}

// A start of the accelerator is waited for, before it is said that it fails.
func TestLookWaits(t *testing.T) {
	t.Parallel()
	tree, _ := tree(t)
	if c := check(t, tree.Check(t.Context()), "programs/accelerator"); c.State != Failed {
		t.Skip("the machine is too slow to see it young")
	}
	if was := (&Gate{Tree: tree, Patience: patience}).Look(t.Context()); strings.Contains(string(was), `"failed"`) {
		t.Errorf("before: %s", was)
	}
}

// An accelerator that ends at once never has a socket: gokrazy's table shows that it is started again and again, and the
// gate knows that it will not get better.
func TestGateEndsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pid := 0
	gokrazy := filepath.Join(dir, "gokrazy")
	l, err := net.Listen("unix", gokrazy)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"Services": [{"Path": "/user/accelerator", "Pid": %d}]}`, pid)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	g := &Gate{Tree: &Tree{Socket: filepath.Join(dir, "none"), Gokrazy: gokrazy, Site: dir, Log: quiet}}
	for n := range tooOften {
		program := exec.Command("true")
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		pid = program.Process.Pid
		for range 2 { // The same one, seen twice.
			err = g.Check(t.Context(), nil)
		}
		var h interface{ Hopeless() bool }
		if last := n == tooOften-1; !errors.As(err, &h) || h.Hopeless() != last || strings.Contains(err.Error(), "was started 3 times") != last {
			t.Errorf("started %d times: %v", n+1, err)
		}
	}
}
