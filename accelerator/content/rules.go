package content

import (
	"fmt"
	"strconv"
)

// Rules are the settings of kHTTPd's seven rules. Immutable.
type Rules struct {
	// Farm tells that somebody else can answer what is not static. Without one
	// rules 1 and 7 do not apply.
	Farm         bool
	IgnoreQuery  bool      // rule 1: serve the file whatever its query
	PermRequired uint32    // rule 4: mode bits that a file must have, all of them
	PermForbid   uint32    // rule 5: mode bits of which it must have none
	Dynamic      []Pattern // rule 6: none of them may match the decoded path
	UnknownType  string    // rule 7: media type to send unknown names with, "" to pass them on
}

// WithoutFarm returns the rules for a request that nobody else can answer.
func (r *Rules) WithoutFarm() *Rules {
	if !r.Farm {
		return r
	}
	alone := *r
	alone.Farm = false
	return &alone
}

// Rule is one line of the table: what must hold for a request to be static.
type Rule struct {
	Number  int    // 0 stands before kHTTPd's seven
	Text    string // what must hold
	Setting string // the setting that changes it, "" if it is fixed
	Farm    bool   // it applies only if there is a farm
	File    bool   // it asks about the file, and holds if there is none
	fails   func(*question) string
}

// Label names the rule in metrics: its number, "method" for what stands before
// the seven.
func (r *Rule) Label() string {
	if r.Number == 0 {
		return "method"
	}
	return strconv.Itoa(r.Number)
}

// verdict returns why the rule fails, "" if it holds or does not apply.
func (r *Rule) verdict(q *question) string {
	if r.Farm && !q.rules.Farm {
		return ""
	}
	if r.Number > 2 && q.target.Unsafe != "" {
		return "" // There is no path to judge.
	}
	if r.File && (q.object == nil || q.object.Location != "") {
		return ""
	}
	return r.fails(q)
}

// question is a request as the rules see it.
type question struct {
	rules  *Rules
	method string
	target Target
	object *Object // what the snapshot has at the path, or nil
}

// Table is the rules in the order in which they are asked. The first that fails
// passes the request on.
var Table = []Rule{
	{0, "the method is GET or HEAD", "", false, false, func(q *question) string {
		if q.method == "GET" || q.method == "HEAD" {
			return ""
		}
		return "the method is " + q.method
	}},
	{1, "the URL has no ?", "rules.query", true, false, func(q *question) string {
		if !q.target.HasQuery || q.rules.IgnoreQuery {
			return ""
		}
		return "the URL has a query"
	}},
	{2, "the decoded path begins with / and stays below it", "", false, false, func(q *question) string {
		if q.target.Unsafe == "" {
			return ""
		}
		return "the path is unsafe: " + q.target.Unsafe
	}},
	{3, "the file exists", "", false, false, func(q *question) string {
		if q.object != nil {
			return ""
		}
		return "there is no such file"
	}},
	{4, "its mode has the required bits", "rules.perm_required", false, true, func(q *question) string {
		if missing := q.rules.PermRequired &^ q.object.Mode; missing != 0 {
			return fmt.Sprintf("its mode %04o lacks %04o", q.object.Mode, missing)
		}
		return ""
	}},
	{5, "its mode has none of the forbidden bits", "rules.perm_forbid", false, true, func(q *question) string {
		if extra := q.rules.PermForbid & q.object.Mode; extra != 0 {
			return fmt.Sprintf("its mode %04o has %04o", q.object.Mode, extra)
		}
		return ""
	}},
	{6, "the path contains no dynamic string", "rules.dynamic", false, false, func(q *question) string {
		if s := q.rules.dynamic(q.target.Path); s != "" {
			return "the path contains " + s
		}
		return ""
	}},
	{7, "the media type is known", "rules.unknown_type", true, true, func(q *question) string {
		if q.object.ContentType != "" || q.rules.UnknownType != "" {
			return ""
		}
		return "its media type is not known"
	}},
}

// dynamic returns the first entry of Dynamic that the path matches, or "".
func (r *Rules) dynamic(path string) string {
	for _, p := range r.Dynamic {
		if p.Match(path) {
			return p.String()
		}
	}
	return ""
}

// typeOf returns the media type to send an object with.
func (r *Rules) typeOf(o *Object) string {
	switch {
	case o.ContentType != "":
		return o.ContentType
	case r.UnknownType != "":
		return r.UnknownType
	default:
		return "application/octet-stream"
	}
}

// Decision is what the rules say of one request.
type Decision struct {
	Target Target
	Object *Object // what the snapshot has at the path, static or not; nil if nothing
	Failed *Rule   // the first rule that failed, nil if the request is static
	Why    string  // why it failed
}

// Decide asks the rules about a request for target, in their order.
func (r *Rules) Decide(s *Snapshot, method, target string) Decision {
	q := r.ask(s, method, target)
	d := Decision{Target: q.target, Object: q.object}
	for i := range Table {
		if why := Table[i].verdict(q); why != "" {
			d.Failed, d.Why = &Table[i], why
			break
		}
	}
	return d
}

// Verdicts returns why each rule of Table fails for a request, "" where it holds.
func (r *Rules) Verdicts(s *Snapshot, method, target string) []string {
	q := r.ask(s, method, target)
	verdicts := make([]string, len(Table))
	for i := range Table {
		verdicts[i] = Table[i].verdict(q)
	}
	return verdicts
}

func (r *Rules) ask(s *Snapshot, method, target string) *question {
	q := &question{rules: r, method: method, target: ParseTarget(target)}
	if q.target.Unsafe == "" {
		q.object = s.Lookup(q.target.Path)
	}
	return q
}
