package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/bench/load"
)

// made is an outcome with given figures: a sample for each round.
func made(b benchmark, figures map[string][]float64) outcome {
	o := outcome{benchmark: b}
	for _, s := range b.subjects {
		c := column{subject: s}
		for _, f := range figures[s.name] {
			latency := load.NewLatency()
			for i := range int64(1000) {
				latency.RecordValue((i + 1) * 1000)
			}
			c.samples = append(c.samples, sample{figure: f, rate: 1e6 / f, busy: 1, client: 1, latency: latency})
		}
		o.columns = append(o.columns, c)
	}
	return o
}

// some are outcomes of three kinds.
func some() []outcome {
	var all []outcome
	for _, b := range benchmarks() {
		switch b.name {
		case "1k":
			o := made(b, map[string][]float64{
				ramjet: {6, 60, 6.6}, netHTTP: {30, 300, 33}, nginx: {10, 100, 10}, h2o: {8, 80, 8}, floor: {5.9, 59, 5.9},
			})
			o.columns[4].err = errors.New("lighttpd ended at once: no | such\nmodule")
			all = append(all, o)
		case "10k":
			all = append(all, made(b, map[string][]float64{ramjet: {8}, netHTTP: {30}, nginx: {10}, h2o: {9}, lighttpd: {9}, floor: {5}}))
		case "tail":
			all = append(all, made(b, map[string][]float64{ramjet: {300, 301, 302}, nginx: {400, 380, 390}, h2o: {350}, lighttpd: {600}}))
		case "balance4":
			all = append(all, made(b, map[string][]float64{ramjet: {1, 1, 2}, nginx: {1.1}}))
		case "forward-10k":
			all = append(all, made(b, map[string][]float64{ramjet: {9}, netHTTP: {60}, nginx: {12}, haproxy: {15}}))
		case "forward-mix":
			all = append(all, made(b, map[string][]float64{ramjet: {9}, netHTTP: {60}, nginx: {10}}))
		case "forward-latency":
			o := made(b, map[string][]float64{ramjet: {200}, netHTTP: {900}, nginx: {400}})
			o.columns[3].err = errors.New("haproxy ended at once")
			all = append(all, o)
		}
	}
	return all
}

func TestVerdicts(t *testing.T) {
	var got []string
	for _, o := range some() {
		for _, v := range o.verdicts() {
			got = append(got, o.name+": "+v.condition(o.measure.unit)+": "+number(v.measured)+" "+v.word())
		}
	}
	// The second round was slow for all: no ratio shows it. The worst round of the balance counts.
	want := []string{
		"1k: ramjet ≤ 0.65 × nginx: 0.60 met", "1k: ramjet ≤ 0.85 × h2o: 0.75 met", "1k: ramjet ≤ 1.08 × C floor: 1.02 met",
		"10k: ramjet ≤ 0.73 × nginx: 0.80 missed", "tail: ramjet ≤ 1.00 × nginx: 0.77 met", "balance4: ramjet ≤ 1.30 ×: 2.00 missed",
		"forward-10k: ramjet ≤ 0.90 × nginx: 0.75 met", "forward-10k: ramjet ≤ 0.90 × haproxy: 0.60 met",
		"forward-mix: ramjet ≤ 0.80 × nginx: 0.90 missed", "forward-latency: ramjet ≤ 1.00 × haproxy: - not measured",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("verdicts:\n%s\nwant:\n%s", g, w)
	}
	o := some()[0]
	o.columns[0].err = errors.New("ramjet is out")
	if v := o.verdicts()[0]; v.met() || v.word() != "not measured" || !math.IsNaN(o.figure(ramjet)) {
		t.Errorf("a target of a server that failed: %q", v.word())
	}
}

func TestResults(t *testing.T) {
	dir := t.TempDir()
	l := &lab{cores: cores{0, 1}, plan: plan{rounds: 3, slice: time.Second, warm: time.Second / 10}}
	if err := l.writeResults(dir, some()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"![CPU time per request, as a multiple of nginx's](cost.svg)",
		"![Latency under the same load, by percentile](latency.svg)",
		"| 1 KB: CPU per request | ramjet ≤ 0.65 × nginx | 0.60 | met |",
		"| ramjet | 6.60 | 6.00-60.0 | 0.60 | 151515 | 100 % | 500µs | 990µs | 999µs |",
		`| lighttpd | failed: lighttpd ended at once: no \| such module | | | | | | | |`,
		"# Forwarding",
		"![CPU time per forwarded request, as a multiple of nginx's](forward-cost.svg)",
		"![Latency through a proxy under the same load, by percentile](forward-latency.svg)",
		"| GET, 10 KB: CPU per request | ramjet ≤ 0.90 × haproxy | 0.60 | met |",
		"| ramjet | 9.00 | 9.00-9.00 | 0.75 | 0.60 | 111111 | 100 % | 500µs | 990µs | 999µs |",
		"| ramjet | 9.00 | 9.00-9.00 | 0.90 | - | 111111 | 100 % | 500µs | 990µs | 999µs |",
		"| haproxy | failed: haproxy ended at once | | | | | | | | |",
	} {
		if !strings.Contains(string(b), "\n"+line+"\n") {
			t.Errorf("RESULTS.md has no line\n%s\nbut is\n%s", line, b)
		}
	}
	for _, name := range []string{"cost.svg", "latency.svg"} {
		wellFormed(t, filepath.Join(dir, name), "ramjet", "nginx", "h2o", "lighttpd")
	}
	wellFormed(t, filepath.Join(dir, "forward-cost.svg"), "ramjet", "nginx", "haproxy", "0.75", "mix")
	wellFormed(t, filepath.Join(dir, "forward-latency.svg"), "ramjet", "nginx", "99.9")
	var out strings.Builder
	writeTable(&out, some())
	writeTargets(&out, some())
	for _, text := range []string{"1 KB: CPU per request, µs", "6.00-60.0", "failed: lighttpd ended at once", "0.80", "missed"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the table has no %q:\n%s", text, out.String())
		}
	}
}

// A run of one part of the benchmark leaves the other part of the page alone.
func TestResultsOfAPart(t *testing.T) {
	l := &lab{cores: cores{0, 1}, plan: plan{rounds: 3, slice: time.Second}}
	var files, forwarding []outcome
	for _, o := range some() {
		if o.forwards {
			forwarding = append(forwarding, o)
		} else {
			files = append(files, o)
		}
	}
	var pages []string
	for _, order := range [][][]outcome{{some()}, {files, forwarding}, {forwarding, files}, {files, forwarding, files, forwarding}} {
		dir := t.TempDir()
		for _, outcomes := range order {
			if err := l.writeResults(dir, outcomes); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, string(b))
	}
	for i, page := range pages {
		if page != pages[0] || strings.Count(page, "\n# Forwarding\n") != 1 || !strings.HasPrefix(page, "# How fast\n\n") {
			t.Errorf("order %d makes another page:\n%s\nnot\n%s", i, page, pages[0])
		}
	}
}

// wellFormed checks that a file is SVG and has these texts.
func wellFormed(t *testing.T, name string, texts ...string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 100_000 {
		t.Errorf("%s has %d bytes", name, len(b))
	}
	var content strings.Builder
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if data, ok := token.(xml.CharData); ok {
			content.Write(data)
		}
	}
	for _, text := range texts {
		if !strings.Contains(content.String(), text) {
			t.Errorf("%s does not say %q", name, text)
		}
	}
}

func TestDisturbance(t *testing.T) {
	outcomes := some()
	if text := disturbance(outcomes); text != "" {
		t.Errorf("all was quiet, but: %s", text)
	}
	for i := range outcomes[0].columns {
		for k := range outcomes[0].columns[i].samples {
			outcomes[0].columns[i].samples[k].client = 0.5
		}
	}
	if text := disturbance(outcomes); !strings.Contains(text, "not quiet") {
		t.Errorf("half of the client's core was gone, but: %q", text)
	}
}

// Each target must be about subjects that its benchmark has.
func TestBenchmarks(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range benchmarks() {
		if seen[b.name] || b.name == "" || b.title == "" || len(b.targets) == 0 || b.connections == 0 {
			t.Errorf("%q: no or a repeated name, no title, no target, or no connections", b.name)
		}
		seen[b.name] = true
		has := map[string]bool{"": true}
		for _, s := range b.subjects {
			has[s.name] = true
			if len(s.requests) == 0 && len(b.requests) == 0 {
				t.Errorf("%s: nothing to ask %s", b.name, s.name)
			}
		}
		for _, target := range b.targets {
			if !has[target.subject] || !has[target.against] {
				t.Errorf("%s: %q or %q does not take part", b.name, target.subject, target.against)
			}
		}
	}
}

// A server that does not send the right bytes is found out.
func TestRequestCheck(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.html"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Etag": {`"1"`}, "Last-Modified": {"Thu, 02 Jan 2020 03:04:05 GMT"}, "Server": {"x"}}
	without := func(name string) http.Header {
		h := good.Clone()
		h.Del(name)
		return h
	}
	for name, test := range map[string]struct {
		header http.Header
		body   string
		status int // of a conditional request
		want   string
	}{
		"other bytes":   {good, "hellO", 304, "is not the file's"},
		"shorter":       {good, "hell", 304, "is not the file's"},
		"no ETag":       {without("ETag"), "hello", 304, "no ETag"},
		"no date":       {without("Last-Modified"), "hello", 304, "no Last-Modified"},
		"no type":       {without("Content-Type"), "hello", 304, "Content-Type"},
		"unconditional": {good, "hello", 200, "want 304"},
		"right":         {good, "hello", 304, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for field, values := range test.header {
					w.Header()[field] = values
				}
				if r.Header.Get("If-None-Match") == `"1"` && test.status == http.StatusNotModified {
					w.WriteHeader(test.status)
					return
				}
				io.WriteString(w, test.body)
			}))
			defer s.Close()
			at := netip.MustParseAddrPort(s.Listener.Addr().String())
			_, _, err := request{path: "/a.html", conditional: true}.check(at, root)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-slice", "0s"}, {"-cases", "("}, {"extra"}, {"-servers"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	o, err := parse([]string{"-cases", "^1k$", "-rounds", "1"}, io.Discard)
	if err != nil || !o.part || o.cases.String() != regexp.MustCompile("^1k$").String() {
		t.Errorf("%+v, %v", o, err)
	}
	if dir, err := o.outDir(); dir != "" || err != nil {
		t.Errorf("a part of the benchmark would go into %q, %v", dir, err)
	}
}

// The whole way, with Ramjet and the floor alone, which every machine can build.
func TestBench(t *testing.T) {
	tryOut(t, "^(1k|newconn|304|pipelined)$", "ramjet,C floor")
}

// Ramjet as a proxy, with the peers that are there.
func TestBenchForwarding(t *testing.T) {
	tryOut(t, "^forward-", "ramjet,nginx,haproxy")
}

// tryOut carries out benchmarks, for so short a time that it says nothing about
// the servers.
func tryOut(t *testing.T, cases, servers string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs servers")
	}
	o, err := parse([]string{"-install=false", "-cases", cases, "-servers", servers,
		"-rounds", "1", "-slice", "100ms", "-warm", "20ms", "-out", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findCores(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := setUp(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, b := range l.chosen(o) {
		if b.connections > 1000 { // The rest of the machine has tests to run.
			b.connections, b.rate = 200, min(b.rate, 200)
		}
		outcome, err := l.carryOut(ctx, b, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range outcome.columns {
			if errors.Is(c.err, errStarved) || errors.Is(c.err, errBehind) {
				t.Log(c.err) // Other tests run at the same time.
				continue
			}
			if c.err != nil || len(c.samples) != 1 || c.samples[0].cpu <= 0 && b.measure.what != memory.what {
				t.Errorf("%s, %s: %v, %+v", b.name, c.name, c.err, c.samples)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(l.dir, "*-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
