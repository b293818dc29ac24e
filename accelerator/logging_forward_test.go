package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/eventloop"
	"ramjet/accelerator/proxy"
)

// forwardFields says what a line has of the forwarding: the names of times, and the
// rest with its value.
func forwardFields(line map[string]any) string {
	var all []string
	for _, name := range []string{"backend", "connect", "first_byte", "backend_duration", "retries", "event"} {
		value, ok := line[name]
		switch _, number := value.(float64); {
		case !ok:
		case number && name != "retries":
			all = append(all, name)
		default:
			all = append(all, fmt.Sprint(name, "=", value))
		}
	}
	return strings.Join(all, " ")
}

// say sends a request on a connection of its own, and reads to its end.
func say(t *testing.T, p *process, request string) {
	t.Helper()
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "%s\r\n\r\n", request); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn) // An answer that breaks off may end with a reset.
}

// sayAndLeave sends a request, and goes away when the answer has begun.
func sayAndLeave(t *testing.T, p *process, request string) {
	t.Helper()
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "%s\r\n\r\n", request); err != nil {
		t.Fatal(err)
	}
	if _, err := readLine(bufio.NewReader(conn)); err != nil {
		t.Fatal(err)
	}
}

// byTarget is the access log of a program that has ended, with one line a target.
func byTarget(t *testing.T, path string) map[string]map[string]any {
	t.Helper()
	lines := map[string]map[string]any{}
	for _, line := range logFile(t, path) {
		lines[line["target"].(string)] = line
	}
	return lines
}

// oneLoop makes of a tier's setting one with a single loop: another one has other
// connections to the backend.
func oneLoop(setting string) string { return strings.Replace(setting, "{", `{"loops": 1, `, 1) }

// A line says who answered, after what times and how many attempts, and what went
// wrong; the same in both tiers.
func TestAccessLogOfForwarding(t *testing.T) {
	t.Parallel()
	upgrades := badCase{name: "upgrades", serve: then("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")}
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: example\r\nConnection: close" }
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			backend := startBadBackend(t, append([]badCase{upgrades}, badCases...))
			dir := t.TempDir()
			write(t, dir, "site/index.html", "home")
			p := start(t, "-config", write(t, dir, "ramjet.json", `{`+oneLoop(setting)+`
				"content": {"root": "site"},
				"access_log": {"format": "json", "to": "./access.log"},
				"backends": [{"url": "http://`+backend.address+`"}],
				"forward": {"first_byte_timeout": "`+badFirstByte.String()+`"},
				"health": {"check": "off"},
			}`))
			name := "backend=http://" + backend.address
			cases := []struct {
				target, request string
				status          float64
				want            string
				least           time.Duration // of both durations
			}{
				{"/", get("/"), 200, "", 0},
				{"/well/new", get("/well/new"), 200, name + " connect first_byte backend_duration retries=0", 0},
				{"/well/kept", get("/well/kept"), 200, name + " first_byte backend_duration retries=0", 0},
				{"/dies-at-a-get", get("/dies-at-a-get"), 200, name + " connect first_byte backend_duration retries=1", 0},
				{"/closes-in-the-body", get("/closes-in-the-body"), 200, name + " first_byte backend_duration retries=0 event=backend_aborted", 0},
				{"/accepts-and-never-answers", get("/accepts-and-never-answers"), 504, name + " connect backend_duration retries=0 event=first_byte_timeout", badFirstByte},
				{"/upgrades", "GET /upgrades HTTP/1.1\r\nHost: example\r\nConnection: Upgrade\r\nUpgrade: echo", 101, name + " connect first_byte backend_duration retries=0", 0},
				{"/body-that-stalls", get("/body-that-stalls"), 200, name + " connect first_byte backend_duration retries=0 event=client_aborted", 0},
				{"/loop", get("/loop") + strings.Repeat("\r\nVia: 1.1 ramjet", 20), 508, "event=refused", 0},
			}
			for _, c := range cases {
				if strings.HasSuffix(c.want, "client_aborted") {
					sayAndLeave(t, p, c.request)
				} else {
					say(t, p, c.request)
				}
			}
			p.stop()
			lines := byTarget(t, filepath.Join(dir, "access.log"))
			for _, c := range cases {
				line := lines[c.target]
				if got := forwardFields(line); line == nil || line["status"] != c.status || got != c.want {
					t.Errorf("%s:\n got %s\nwant %s\n%v", c.target, got, c.want, line)
					continue
				}
				order := []string{"connect", "first_byte", "backend_duration", "duration"}
				before := 0.0
				for _, name := range order {
					if took, ok := line[name].(float64); ok && took < before {
						t.Errorf("%s: %s is less than the part of it before: %v", c.target, name, line)
					} else if ok {
						before = took
					}
				}
				for _, name := range order[2:] {
					if took, _ := line[name].(float64); took < c.least.Seconds() {
						t.Errorf("%s: %s is less than %v: %v", c.target, name, c.least, line)
					}
				}
			}
		})
	}
}

// A request that another backend has failed has the one that answered, and all of its
// own time: also where it changes from one tier to the other.
func TestAccessLogOfRetries(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		for _, sick := range []struct {
			name  string
			wait  time.Duration
			serve func(*net.TCPConn, *bufio.Reader) // nil: nobody listens
		}{
			{"not there", 0, nil},
			{"does not answer", badFirstByte, func(_ *net.TCPConn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) }},
		} {
			t.Run(tier+"/"+sick.name, func(t *testing.T) {
				t.Parallel()
				well := startBadBackend(t, nil)
				other := deadAddress(t)
				if sick.serve != nil {
					other = rawBackend(t, sick.serve)
				}
				dir := t.TempDir()
				p := start(t, "-config", write(t, dir, "ramjet.json", `{`+oneLoop(setting)+`
					"access_log": {"format": "json", "to": "./access.log"},
					"backends": [{"url": "http://`+other+`"}, {"url": "http://`+well.address+`"}],
					"forward": {"first_byte_timeout": "`+badFirstByte.String()+`", "balance": "round_robin", "retries": 1, "retry_share": 100},
					"health": {"check": "off"},
				}`))
				const requests = 4
				for i := range requests {
					say(t, p, fmt.Sprintf("GET /well/%d HTTP/1.1\r\nHost: example\r\nConnection: close", i))
				}
				p.stop()
				retried := 0
				lines := logFile(t, filepath.Join(dir, "access.log"))
				for _, line := range lines {
					if line["status"] != 200.0 || line["backend"] != "http://"+well.address || line["event"] != nil {
						t.Errorf("%v", line)
					}
					if line["retries"] == 0.0 {
						continue
					}
					retried++
					if line["retries"] != 1.0 || line["duration"].(float64)-line["backend_duration"].(float64) < sick.wait.Seconds() {
						t.Errorf("%v", line)
					}
				}
				if len(lines) != requests || retried == 0 {
					t.Errorf("%d of %d requests were tried again", retried, len(lines))
				}
			})
		}
	}
}

// Both tiers have the same names for what goes wrong.
func TestTroubleNames(t *testing.T) {
	t.Parallel()
	for loop, event := range relayEnds {
		want := event.String()
		if event == proxy.OK {
			want = ""
		}
		if got := loop.Trouble(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, e := range []eventloop.Event{eventloop.Began, eventloop.Retried, eventloop.TunnelBegan, eventloop.TunnelEnded} {
		if got := e.Trouble(); got != "" {
			t.Errorf("%d: %q", e, got)
		}
	}
}
