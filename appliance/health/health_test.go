package health

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ramjet/appliance/configuration/supervised"
	"ramjet/appliance/process"
)

func TestMain(m *testing.M) {
	status := m.Run()
	supervised.Remove()
	os.Exit(status)
}

// patience is for what takes a moment on a machine that has nothing else to do.
const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// tree looks at a real accelerator.
func tree(t *testing.T) (*Tree, *supervised.Accelerator) {
	a := supervised.Start(t)
	return &Tree{Socket: a.Socket, Site: filepath.Join(a.Dir, "site"), Baseline: filepath.Join(a.Dir, "state", "health.json"), Log: quiet}, a
}

// check returns one of a report.
func check(t *testing.T, r Report, name string) Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no check %s", name)
	return Check{}
}

// until looks until a check is in a state.
func until(t *testing.T, tree *Tree, name string, state State) Report {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		r := tree.Check(t.Context())
		c := check(t, r, name)
		if c.State == state {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %s, want %s: %s", name, c.State, state, c.Detail)
		}
	}
}

func write(t *testing.T, a *supervised.Accelerator, name, text string) {
	t.Helper()
	name = filepath.Join(a.Dir, "site", name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The weights are those of a whole, each check costs what its weight says, and what cannot be looked at costs nothing.
func TestJudge(t *testing.T) {
	sum := 0
	for _, row := range Checks {
		sum += row.Weight
		for _, test := range []struct {
			state   State
			healthy bool
			score   int
		}{{Failed, row.Weight < Tolerance, 100 - row.Weight}, {Unknown, true, 100}, {OK, true, 100}} {
			r := Report{Checks: []Check{{Name: row.Name, Weight: row.Weight, State: test.state}}}
			if r.judge(); r.Healthy != test.healthy || r.Score != test.score {
				t.Errorf("%s %s: healthy %v, score %d", row.Name, test.state, r.Healthy, r.Score)
			}
		}
	}
	if sum != 100 {
		t.Errorf("the weights are %d together", sum)
	}
}

// An accelerator that serves is well once it has run for a while; one that hangs is not, and each look has an end.
func TestAccelerator(t *testing.T) {
	t.Parallel()
	tree, a := tree(t)
	write(t, a, "sub dir/ä.html", "small")
	r := tree.Check(t.Context())
	if c := check(t, r, "programs/accelerator"); c.State != Failed || !strings.Contains(c.Detail, "less than 10s") || r.Healthy {
		t.Errorf("one that has just been started: %+v", c)
	}
	r = until(t, tree, "programs/accelerator", OK)
	if !r.Healthy || r.Score < 90 {
		t.Errorf("it is not healthy: %s", r.Failed())
	}
	if c := check(t, r, "serving/probes"); c.State != OK || !strings.Contains(c.Detail, "/index.html /sub dir/ä.html") {
		t.Errorf("the probes: %+v", c)
	}
	first := check(t, r, "serving/content").Since
	if c := check(t, tree.Check(t.Context()), "serving/content"); c.State != OK || !c.Since.Equal(first) {
		t.Errorf("since %v, then since %v", first, c.Since)
	}
	id, err := process.OfSocket(a.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(id.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, tree, "serving/content", Failed) // The signal takes a moment.
	begun := time.Now()
	r = tree.Check(t.Context())
	if took := time.Since(begun); took > 2*Timeout {
		t.Errorf("a look took %v", took)
	}
	if c := check(t, r, "serving/content"); r.Healthy || c.State != Failed || !strings.Contains(c.Detail, "no answer in time") {
		t.Errorf("one that hangs: %+v, healthy %v", c, r.Healthy)
	}
	if err := syscall.Kill(id.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, tree, "serving/content", OK)
	for range 2 {
		id, err := process.OfSocket(a.Socket)
		if err != nil {
			t.Fatal(err)
		}
		a.Kill()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			if now, err := process.OfSocket(a.Socket); err == nil && now != id {
				break
			} else if time.Now().After(deadline) {
				t.Fatal("it is not started again")
			}
		}
		r = tree.Check(t.Context())
	}
	if c := check(t, r, "programs/accelerator"); c.State != Failed || !strings.Contains(c.Detail, "the 3. in") {
		t.Errorf("one that ends again and again: %+v", c)
	}
}

// What is answered is compared with the disk: a listener that answers something else is found out, a site that changes is not
// taken for that.
func TestProbes(t *testing.T) {
	t.Parallel()
	tree, a := tree(t)
	until(t, tree, "serving/probes", OK)
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("home of somebody else")) }))
	defer wrong.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer broken.Close()
	// An admin socket in between says that the listener is elsewhere.
	between := func(address string) *Tree {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := get(r.Context(), a.Socket, r.URL.RequestURI(), 10*time.Second)
			if err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
			if r.URL.Path == "/status" {
				var status map[string]any
				if err := json.Unmarshal(text, &status); err != nil {
					t.Error(err)
				}
				status["listen"] = address
				text, _ = json.Marshal(status)
			}
			w.Write(text)
		})}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		return &Tree{Socket: socket, Site: tree.Site, Log: quiet}
	}
	for _, test := range []struct {
		name, address, want string
	}{
		{"other bytes", wrong.Listener.Addr().String(), "/index.html: other bytes than on the disk"},
		{"an error", broken.Listener.Addr().String(), "/index.html: 500 Internal Server Error"},
		{"nobody", supervised.FreeAddress(t), "/index.html: "},
	} {
		if c := check(t, between(test.address).Check(t.Context()), "serving/probes"); c.State != Failed || !strings.HasPrefix(c.Detail, test.want) {
			t.Errorf("%s: %+v", test.name, c)
		}
	}
	// While it is rewritten, no look may call it wrong.
	for i := range 20 {
		write(t, a, "index.html", strings.Repeat("home", i))
		if c := check(t, tree.Check(t.Context()), "serving/probes"); c.State == Failed {
			t.Errorf("a site that changes: %+v", c)
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	tree, _ := tree(t)
	tree.Ports = []string{supervised.FreeAddress(t)}
	if c := check(t, tree.Check(t.Context()), "serving/ports"); c.State != Failed || !strings.Contains(c.Detail, "connection refused") {
		t.Errorf("a closed port: %+v", c)
	}
	tree.Ports = nil
	if c := check(t, tree.Check(t.Context()), "serving/ports"); c.State != OK {
		t.Errorf("%+v", c)
	}
}

// A farm is missed if it was there before, by another run of the program; a gateway likewise.
func TestBefore(t *testing.T) {
	t.Parallel()
	tree, a := tree(t)
	farm := httptest.NewServer(http.NotFoundHandler())
	config := fmt.Sprintf(`{"backends": [{"url": %q}], "health": {"interval": "100ms", "fall": 1}}`, farm.URL)
	if err := os.WriteFile(a.Config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	until(t, tree, "network/farm", OK)
	until(t, tree, "programs/accelerator", OK)
	tree.starts = nil
	(&Keeper{Tree: tree}).once(t.Context())
	text, err := os.ReadFile(tree.Baseline)
	if err != nil || !strings.Contains(string(text), `"default"`) {
		t.Fatalf("kept is %s, %v", text, err)
	}
	farm.Close()
	// After a boot.
	tree = &Tree{Socket: tree.Socket, Site: tree.Site, Baseline: tree.Baseline, Log: quiet}
	r := until(t, tree, "network/farm", Failed)
	if c := check(t, r, "network/farm"); !strings.Contains(c.Detail, "default") || r.Healthy {
		t.Errorf("%+v, healthy %v", c, r.Healthy)
	}
	// What is not well is not kept, until it has been so for long.
	keeper := &Keeper{Tree: tree}
	keeper.once(t.Context())
	if now, err := os.ReadFile(tree.Baseline); err != nil || string(now) != string(text) {
		t.Errorf("kept is %s, %v", now, err)
	}
	c := tree.states["network/farm"]
	c.Since = c.Since.Add(-settled)
	tree.states["network/farm"] = c
	keeper.once(t.Context())
	if c := check(t, tree.Check(t.Context()), "network/farm"); c.State != Unknown {
		t.Errorf("after an hour: %+v", c)
	}
	// And one that never had it does not miss it.
	tree = &Tree{Socket: tree.Socket, Site: tree.Site, Log: quiet}
	if c := check(t, tree.Check(t.Context()), "network/farm"); c.State != Unknown {
		t.Errorf("one that was never there: %+v", c)
	}
}

// A file that is no baseline is none.
func TestBadBaseline(t *testing.T) {
	t.Parallel()
	tree, _ := tree(t)
	if err := os.MkdirAll(filepath.Dir(tree.Baseline), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tree.Baseline, []byte(`{"gateway": 1, "pools": ["a"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := check(t, tree.Check(t.Context()), "network/farm"); c.State != OK {
		t.Errorf("%+v", c)
	}
}

func TestRoutes(t *testing.T) {
	four := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t0202000A\t0003\t0\t0\t1024\t00000000\t0\t0\t0\n" +
		"eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nshort\n" +
		"tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
	six := "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n" +
		"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n" +
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n"
	if got := fmt.Sprint(append(routes4(four), routes6(six)...)); got != "[10.0.2.2 on eth0 fe80::1 on eth0]" {
		t.Error(got)
	}
}

func TestTraffic(t *testing.T) {
	one, hundredth := 1.0, 0.004
	for _, test := range []struct {
		name   string
		l      look
		errors State
		waits  State
	}{
		{"nothing", look{Tree: &Tree{}, before: &Baseline{}}, Unknown, Unknown},
		{"bad", look{Tree: &Tree{traffic: traffic{errors: &one, waits: &one}}, before: &Baseline{}}, Failed, Failed},
		{"as bad as before", look{Tree: &Tree{traffic: traffic{errors: &one, waits: &one}}, before: &Baseline{Errors: &one, Waiting: &one}}, OK, OK},
		{"worse than before", look{Tree: &Tree{traffic: traffic{errors: &one, waits: &one}}, before: &Baseline{Errors: &hundredth, Waiting: &hundredth}}, Failed, Failed},
		{"good", look{Tree: &Tree{traffic: traffic{errors: &hundredth, waits: &hundredth}}, before: &Baseline{}}, OK, OK},
	} {
		e, _ := test.l.errors()
		w, _ := test.l.latency()
		if e != test.errors || w != test.waits {
			t.Errorf("%s: errors %s, latency %s", test.name, e, w)
		}
	}
	from, to := []bucket{{0.001, 0}, {0.01, 0}, {0.1, 0}}, []bucket{{0.001, 90}, {0.01, 150}, {0.1, 151}}
	if q := quantile(from, to); q == nil || *q != 0.01 {
		t.Errorf("99 of 100 are at most %v", q)
	}
}

// Real counters of a real farm that is gone.
func TestErrorsOfTheFarm(t *testing.T) {
	t.Parallel()
	tree, a := tree(t)
	config := fmt.Sprintf(`{"backends": [{"url": "http://%s"}]}`, supervised.FreeAddress(t))
	if err := os.WriteFile(a.Config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	until(t, tree, "network/farm", Unknown)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for ctx.Err() == nil {
			if answer, err := http.Get("http://" + a.Listen + "/none"); err == nil {
				answer.Body.Close()
			}
		}
	}()
	if c := check(t, until(t, tree, "traffic/errors", Failed), "traffic/errors"); !strings.HasPrefix(c.Detail, "9") && !strings.HasPrefix(c.Detail, "100") {
		t.Errorf("%+v", c)
	}
}

// GET /health says it with its status.
func TestHandler(t *testing.T) {
	t.Parallel()
	tree, _ := tree(t)
	ask := func(method, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/health", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		tree.ServeHTTP(w, r)
		return w
	}
	var report Report
	if w := ask("GET", "*/*"); w.Code != 503 || json.Unmarshal(w.Body.Bytes(), &report) != nil || len(report.Checks) != len(Checks) || report.Healthy {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	until(t, tree, "programs/accelerator", OK)
	if w := ask("GET", "text/plain"); w.Code != 200 || !strings.HasPrefix(w.Body.String(), "healthy, ") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("POST", ""); w.Code != 405 {
		t.Errorf("%d", w.Code)
	}
}
