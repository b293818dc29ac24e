package site

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ramjet/accelerator/content"
)

// browserCodings is what today's browsers accept: the explanation is for one.
const browserCodings = "gzip, deflate, br, zstd"

// Explain tells in words what a GET for a URL, or for a path, gets and why: each
// rule with its verdict, the farm's words if it is not static, then the outcome. The error is about the URL.
func (s *Site) Explain(target string) (string, error) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return "", fmt.Errorf("%q is neither a path such as /index.html nor a URL: %w", target, errorOf(err))
	}
	if u.Host != "" && u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q: the scheme is not http or https", target)
	}
	r := &http.Request{
		Method: http.MethodGet, RequestURI: target, URL: u, Host: u.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	farm, rules := s.route(r)
	snapshot := s.Store.Snapshot()
	d := rules.Decide(snapshot, http.MethodGet, target)
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s\n\n", target)
	var failed []string
	for i, why := range rules.Verdicts(snapshot, http.MethodGet, target) {
		rule := &content.Table[i]
		fmt.Fprintf(&b, "  %-6s  %-50s  %s\n", ruleName(rule), rule.Text, verdict(rule, rules, &d, why))
		if why != "" {
			failed = append(failed, fmt.Sprintf("rule %d, %s", rule.Number, why))
		}
	}
	if s.Farm != nil && d.Failed != nil {
		b.WriteByte('\n')
		for line := range strings.Lines(s.Farm.Explain(r)) {
			b.WriteString("  " + line)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", outcome(&d, farm != nil, strings.Join(failed, "; ")))
	return b.String(), nil
}

func ruleName(rule *content.Rule) string {
	if rule.Number == 0 {
		return "method"
	}
	return fmt.Sprintf("rule %d", rule.Number)
}

// verdict says what a rule says.
func verdict(rule *content.Rule, rules *content.Rules, d *content.Decision, why string) string {
	switch {
	case rule.Farm && !rules.Farm:
		return "does not apply without a backend"
	case rule.Number > 2 && d.Target.Unsafe != "":
		return "there is no path to ask about"
	case rule.File && d.Object == nil:
		return "there is no file to ask about"
	case why == "":
		return "holds"
	case rule.Setting == "":
		return "FAILS: " + why
	default:
		return fmt.Sprintf("FAILS: %s  (setting %s)", why, rule.Setting)
	}
}

// outcome is the last line of an explanation.
func outcome(d *content.Decision, farm bool, failed string) string {
	switch {
	case d.Failed == nil && d.Object.Location != "":
		return "redirected to " + d.Object.Location
	case d.Failed == nil:
		return "static, " + d.Object.Select(browserCodings).Explain()
	case farm:
		return "forwarded: " + failed
	default:
		status := refusal(d, http.MethodGet)
		return fmt.Sprintf("answered %d %s: %s", status, http.StatusText(status), failed)
	}
}

// errorOf drops the URL that the error of net/url repeats.
func errorOf(err error) error {
	if e, ok := err.(*url.Error); ok {
		return e.Err
	}
	return err
}
