package health

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/accelerator/backend"
)

// newAgent starts an agent that says what it is told to; "" is silence.
func newAgent(t *testing.T, greeted bool) (port int, says *atomic.Value) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	says = &atomic.Value{}
	says.Store("")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if greeted {
					if line, _ := bufio.NewReader(c).ReadString('\n'); line != "www\n" {
						return
					}
				}
				if text := says.Load().(string); text != "" {
					io.WriteString(c, text)
				} else {
					io.Copy(io.Discard, c) // Until the other gives up.
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, says
}

func TestParseReport(t *testing.T) {
	before := backend.Report{Less: 10, Drain: true, InFlight: 7}
	for _, c := range []struct{ line, want, wrong string }{
		{"", "", "says nothing"},
		{"\r\n", "", "says nothing"},
		{" , \n", "", "says nothing"},
		{"well\n", "", `"well"`},
		{"up wel\n", "", `"wel"`},
		{"75\n", "", `"75"`},
		{"-75%\n", "", `"-75%"`},
		{"%\n", "", `"%"`},
		{"1e2%\n", "", `"1e2%"`},
		{"99999999%\n", "", `"99999999%"`},
		{"maxconn:\n", "", `"maxconn:"`},
		{"maxconn:-1\n", "", `"maxconn:-1"`},
		{strings.Repeat("x", maxLine), "", "longer than"},
		{"up", "drain 90% maxconn:7", ""},
		{"UP\r\n", "drain 90% maxconn:7", ""},
		{"ready 75%\nmaint\n", "75% maxconn:7", ""},
		{"up ready 100% maxconn:0\n", "", ""},
		{"250%,ready\n", "maxconn:7", ""},
		{"0%\n", "drain 0% maxconn:7", ""},
		{"maint\n", "maint 90% maxconn:7", ""},
		{"maint drain\n", "drain 90% maxconn:7", ""},
		{"down\tmaxconn:30\n", "down drain 90% maxconn:30", ""},
		{"fail#disk is full, 5% left\n", "down drain 90% maxconn:7", ""},
		{"stopped # for the night\n", "down drain 90% maxconn:7", ""},
	} {
		got, err := parseReport(before, c.line)
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || got != before) || c.wrong == "" && (err != nil || got.String() != c.want) {
			t.Errorf("%.40q: %q, %v", c.line, got, err)
		}
	}
}

// An agent is heard again and again, and while it is not, what it said holds.
func TestAgent(t *testing.T) {
	port, says := newAgent(t, true)
	b := pool(t, "http://127.0.0.1:1", "unix:///nowhere.sock")
	c, log := checking(t)
	check := Check{Kind: Off, Agent: Agent{Port: port, Send: "www\n", Interval: 5 * time.Millisecond, Timeout: 100 * time.Millisecond}}
	says.Store("75% maxconn:30\n")
	c.Watch(b, check)
	becomes := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); b[0].Report().String() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the report stays %q, want %q", b[0].Report(), want)
			}
		}
	}
	becomes("75% maxconn:30")
	if b[0].Health() != backend.Unchecked {
		t.Error("nobody asked for a check:", b[0].Health())
	}
	says.Store("drain\n")
	becomes("drain 75% maxconn:30")
	says.Store("down ready # tired\n")
	becomes("down 75% maxconn:30")
	for _, nonsense := range []string{"", "who are you?\n", strings.Repeat("up ", 1000)} {
		says.Store(nonsense)
		time.Sleep(150 * time.Millisecond)
		becomes("down 75% maxconn:30")
	}
	if text := log.String(); strings.Count(text, "backend's agent is not heard\" backend=http") != 1 || strings.Count(text, "backend=unix") != 1 {
		t.Error(text)
	}
	says.Store("up 100% maxconn:0\n")
	becomes("")
	says.Store("maint\n")
	becomes("maint")
	check.Agent.Port = 0
	c.Watch(b, check)
	becomes("")
	time.Sleep(50 * time.Millisecond)
	becomes("")
}

// Whatever an agent says, a report is within its bounds, and reads as it is written.
func FuzzParseReport(f *testing.F) {
	for _, s := range []string{"up 75% maxconn:30\n", "down#x", "drain,maint\tready\r", "\x00", "9999999%", "0%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseReport(backend.Report{}, line)
		if err != nil {
			if r != (backend.Report{}) {
				t.Errorf("%q: %v, and %v", line, err, r)
			}
			return
		}
		if r.Less < 0 || r.Less > 100 || r.InFlight < 0 || r.Drain && r.Maint {
			t.Errorf("%q: %+v", line, r)
		}
		if text := r.String(); text != "" {
			if again, err := parseReport(backend.Report{}, text); err != nil || again != r {
				t.Errorf("%q is written %q and read %+v, %v", line, text, again, err)
			}
		}
	})
}
