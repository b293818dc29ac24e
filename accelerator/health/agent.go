package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"ramjet/accelerator/backend"
)

// Agent is a program beside each backend that is asked how it is, in the text
// protocol of HAProxy's agent-check: who connects gets one line, such as
// "up 75% maxconn:30".
type Agent struct {
	Port     int    // where it listens, at the backend's address; 0: there is none
	Send     string // what is sent first
	Interval time.Duration
	Timeout  time.Duration // for connection and line together
}

// maxLine bounds what is read of an agent.
const maxLine = 1024

// ask asks the agent of a backend. What it does not say stays as it was.
func (a *Agent) ask(ctx context.Context, b *backend.Backend) (backend.Report, error) {
	before := b.Report()
	network, address, err := b.Endpoint()
	if err != nil {
		return before, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || network != "tcp" {
		return before, errors.New("a Unix socket has no agent beside it")
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(a.Port)))
	if err != nil {
		return before, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, a.Send); err != nil {
		return before, err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return before, err
	}
	return parseReport(before, line)
}

// parseReport reads an agent's line: words between blanks, tabs or commas. A word
// that nobody knows makes all of it void.
func parseReport(r backend.Report, line string) (backend.Report, error) {
	before := r
	if end := strings.IndexAny(line, "\r\n"); end >= 0 {
		line = line[:end]
	} else if len(line) >= maxLine {
		return before, fmt.Errorf("its line is longer than %d bytes", maxLine)
	}
	line, _, _ = strings.Cut(line, "#") // Behind it is a reason, for people.
	words := strings.FieldsFunc(strings.ToLower(line), func(c rune) bool { return c == ' ' || c == '\t' || c == ',' })
	if len(words) == 0 {
		return before, errors.New("it says nothing")
	}
	for _, w := range words {
		percent, isPercent := strings.CutSuffix(w, "%")
		most, isMost := strings.CutPrefix(w, "maxconn:")
		switch {
		case w == "up":
			r.Down = false
		case w == "down", w == "fail", w == "stopped":
			r.Down = true
		case w == "ready":
			r.Drain, r.Maint = false, false
		case w == "drain":
			r.Drain, r.Maint = true, false
		case w == "maint":
			r.Drain, r.Maint = false, true
		case isPercent && number(percent) >= 0:
			r.Less = max(0, 100-number(percent)) // More than its weight is its weight.
		case isMost && number(most) >= 0:
			r.InFlight = number(most)
		default:
			return before, fmt.Errorf("it says %.40q, which is not one of up, down, fail, stopped, ready, drain, maint, N%%, maxconn:N", w)
		}
	}
	return r, nil
}

// number reads a number of up to seven digits; -1 is none.
func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || len(s) > 7 {
		return -1
	}
	return int(n)
}

// listen asks the agent of one backend again and again. As long as it cannot be
// heard, what it said last holds: whether the backend is well is for the checks.
func (c *Checker) listen(ctx context.Context, b *backend.Backend, a *Agent) {
	heard := true
	for {
		report, err := a.ask(ctx, b)
		if ctx.Err() != nil {
			return
		}
		if before := b.SetReport(report); before != report {
			c.Log.Info("backend's agent", "backend", b.URL.String(), "says", report.String(), "before", before.String())
		}
		if err != nil && heard {
			c.Log.Warn("backend's agent is not heard", "backend", b.URL.String(), "err", err)
		}
		heard = err == nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(about(a.Interval)):
		}
	}
}
