package main

import (
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/config"
	"ramjet/accelerator/content"
	"ramjet/accelerator/eventloop"
	"ramjet/accelerator/http1"
	"ramjet/accelerator/proxy"
	"ramjet/accelerator/site"
)

// stateLimits are the settings behind the deadlines of a connection.
var stateLimits = map[string]string{
	"idle": "`limits.idle_time`", "head": "`limits.head_time`", "sending": "`limits.stall_time` without an acknowledgement",
	"fetching": "-", "lingering": "0.5 s",
	"connecting": "`forward.connect_timeout`", "linking": "`forward.connect_timeout`", "tunnelling": "-", "unused": "4 s", "tunnelled": "-",
	"relaying": "`limits.stall_time` or `forward.idle_timeout` for a piece of the request",
	"asking":   "`forward.first_byte_timeout`, then `forward.idle_timeout` for each piece",
}

// rows are the table rows of the README that are made from tables in the code.
func rows() map[string][]string {
	all := map[string][]string{}
	add := func(table string, cells ...string) {
		all[table] = append(all[table], "| "+strings.Join(cells, " | ")+" |")
	}
	for _, r := range content.Table {
		number, setting := "-", ""
		if r.Number > 0 {
			number = r.Label()
		}
		if r.Setting != "" {
			setting = "`" + r.Setting + "`"
		}
		add("RULES", number, r.Text, setting)
	}
	for _, r := range http1.Reasons[1:] {
		add("REASONS", "`"+r.Name+"`", r.Text, r.Section, r.Answer)
	}
	for _, r := range eventloop.Reasons[1:] {
		add("HANDOFFS", "`"+r.Name+"`", r.Text)
	}
	for _, state := range eventloop.States() {
		add("STATES", state[0], state[1], stateLimits[state[0]])
	}
	for e := range proxy.NumEvents {
		add("EVENTS", "`"+e.String()+"`", e.Help())
	}
	for _, o := range site.Outcomes() {
		add("OUTCOMES", "`"+o.String()+"`", o.Help())
	}
	for _, f := range accesslog.Formats {
		add("FORMATS", "`"+f.Name+"`", f.Text)
	}
	for _, f := range accesslog.Fields {
		add("FIELDS", "`"+f.Name+"`", f.Text, f.CLF)
	}
	described := make(chan *prometheus.Desc, 1000)
	new(server).metrics().Describe(described)
	close(described)
	seen := map[string]bool{}
	pattern := regexp.MustCompile(`fqName: "(ramjet_\w+)", help: "([^"]*)"`)
	for d := range described {
		if m := pattern.FindStringSubmatch(d.String()); m != nil && !seen[m[1]] {
			seen[m[1]] = true
			add("METRICS", "`"+m[1]+"`", m[2])
		}
	}
	return all
}

// Every row stands in the README.
func TestREADMETables(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.Join(strings.Fields(line), " ")
		lines[line] = true
	}
	for table, want := range rows() {
		for _, row := range want {
			if !lines[strings.Join(strings.Fields(row), " ")] {
				t.Errorf("the table %s lacks:\n%s", table, row)
			}
		}
	}
}

// The examples of both READMEs are right: the files parse, the flags exist.
func TestExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
	command := regexp.MustCompile(`(?m)^\s*(?:sudo )?(?:\./)?accelerator (.*)$`)
	found := 0
	for _, name := range []string{"README.md", "../README.md", "../appliance/README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			if block[1] == "jsonc" || block[1] == "json" {
				found++
				if _, err := config.Parse("ramjet.json", []byte(block[2])); err != nil {
					t.Errorf("%s: %v in\n%s", name, err, block[2])
				}
			}
			for _, line := range command.FindAllStringSubmatch(block[2], -1) {
				found++
				arguments, _, _ := strings.Cut(line[1], "#")
				if _, err := parse(strings.Fields(arguments), io.Discard, io.Discard); err != nil && err != flag.ErrHelp {
					t.Errorf("%s: accelerator %s: %v", name, arguments, err)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no example was found: is the pattern still right?")
	}
}

// Every setting that a README names exists.
func TestSettingsNamed(t *testing.T) {
	known := map[string]bool{}
	for _, s := range config.Settings() {
		known[s.Name] = true
	}
	name := regexp.MustCompile("`((?:content|rules|forward|dns|pools|routes|limits|eventloop|access_log)\\.[a-z_]+)`")
	for _, file := range []string{"README.md", "../README.md", "../appliance/README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			if !known[m[1]] {
				t.Errorf("%s names %s, which is not a setting", file, m[1])
			}
		}
	}
}
