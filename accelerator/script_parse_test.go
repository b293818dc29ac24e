package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// script is one file of testdata: cases to be run against one server.
type script struct {
	setups []string // each is NAME.json, a configuration to run the cases with
	site   string   // a part of site.list

	// together tells that the cases wait so much that they are run at once.
	together bool
	cases    []scriptCase
}

// scriptCase is one case: what happens on one connection, in order.
type scriptCase struct {
	name  string
	at    string // file:line
	steps []step
}

// step is one line or, for an answer, the lines that belong together.
type step struct {
	at     string
	what   stepKind
	text   string        // what to send, or the status to expect
	pause  time.Duration // of stepWait
	expect []expectation // of stepAnswer
}

type stepKind string

const (
	stepSend      stepKind = "send"
	stepWait      stepKind = "wait"
	stepReconnect stepKind = "reconnect"
	stepAnswer    stepKind = "answer"
	stepRaw       stepKind = "raw"
	stepClosed    stepKind = "closed"
	stepOpen      stepKind = "open"
	stepBroken    stepKind = "broken"
	stepLog       stepKind = "log"
	stepHead      stepKind = "head equals get"
	stepClose     stepKind = "close" // in farm.list
	stepEcho      stepKind = "echo"  // in farm.list
)

// expectation is one line about an answer.
type expectation struct {
	at   string
	kind string // "field", "absent", "like", "keep", "body", "parts", "farm", …
	text string // what follows
}

var (
	statusLine = regexp.MustCompile(`^< (\d{3}( or \d{3})*)$`)
	expectLine = regexp.MustCompile(`^<(~|!|keep|within|body|parts|farm~|farm!|farmbody|farm|raw)? +(.*)$`)
)

// expectKinds are the names of the marks in expectLine.
var expectKinds = map[string]string{"": "field", "~": "like", "!": "absent", "farm~": "farm like", "farm!": "farm absent", "farmbody": "farm body"}

// parseScript reads a script. The error says where.
func parseScript(name string) (*script, error) {
	s := &script{site: "plain"}
	if err := s.read(name); err != nil {
		return nil, err
	}
	if len(s.setups) == 0 || len(s.cases) == 0 {
		return nil, fmt.Errorf("%s: no setup, or no case", name)
	}
	return s, nil
}

func (s *script) read(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(text), "\n") {
		at := fmt.Sprintf("%s:%d", name, i+1)
		if err := s.line(at, strings.TrimRight(line, " \t\r")); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (s *script) line(at, line string) error {
	if name, ok := strings.CutPrefix(line, "## "); ok {
		s.cases = append(s.cases, scriptCase{name: name, at: at})
		return nil
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	if len(s.cases) == 0 {
		return s.header(line)
	}
	return s.cases[len(s.cases)-1].line(at, line)
}

func (s *script) header(line string) error {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch name {
	case "setup":
		s.setups = strings.Fields(value)
	case "site":
		s.site = value
	case "together":
		s.together = value == "yes"
	default:
		return fmt.Errorf("%q stands before the first case", line)
	}
	return nil
}

// line adds one line to a case.
func (c *scriptCase) line(at, line string) error {
	add := func(what stepKind, text string) { c.steps = append(c.steps, step{at: at, what: what, text: text}) }
	switch {
	case line == ">" || strings.HasPrefix(line, "> "):
		add(stepSend, strings.TrimPrefix(line[1:], " ")+`\r\n`)
	case strings.HasPrefix(line, ">> "):
		add(stepSend, line[3:])
	case strings.HasPrefix(line, "wait "):
		pause, err := time.ParseDuration(line[5:])
		add(stepWait, "")
		c.steps[len(c.steps)-1].pause = pause
		return err
	case line == "reconnect":
		add(stepReconnect, "")
	case line == "head equals get", line == "close", line == "echo":
		add(stepKind(line), "")
	case line == "< closed":
		add(stepClosed, "")
	case line == "< open":
		add(stepOpen, "")
	case line == "< broken":
		add(stepBroken, "")
	case strings.HasPrefix(line, "<log "):
		add(stepLog, line[5:])
	case statusLine.MatchString(line):
		add(stepAnswer, line[2:])
	default:
		return c.expectation(at, line)
	}
	return nil
}

// expectation adds a line to the last answer.
func (c *scriptCase) expectation(at, line string) error {
	m := expectLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("%q is not a line of a script", line)
	}
	kind, text := m[1], m[2]
	if name, ok := expectKinds[kind]; ok {
		kind = name
	}
	if kind == "raw" {
		c.steps = append(c.steps, step{at: at, what: stepRaw, text: text})
		return nil
	}
	if len(c.steps) == 0 || c.steps[len(c.steps)-1].what != stepAnswer {
		return fmt.Errorf("%q follows no answer", line)
	}
	last := &c.steps[len(c.steps)-1]
	last.expect = append(last.expect, expectation{at, kind, text})
	return nil
}
