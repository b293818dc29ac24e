package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"ramjet/accelerator/config"
	"ramjet/accelerator/health"
	"ramjet/accelerator/proxy"
	"ramjet/accelerator/ratelimit"
	"ramjet/accelerator/route"
)

// farm is all pools of a configuration and the routes to them: the site's Farm.
// Immutable.
type farm struct {
	pools    []*pool
	fallback *pool // gets what no route takes; nil for nobody

	table  *route.Table
	routes []farmRoute // as in the table
}

// pool is a pool at work.
type pool struct {
	*proxy.Proxy
	Name    string
	balance string // in words
	check   health.Check
}

// farmRoute is where a route leads.
type farmRoute struct {
	proxy.Changed
	pool    *pool
	text    string           // what it asks for, in words
	limit   *ratelimit.Limit // of each client; nil for none
	clients *ratelimit.Table
}

// ServeHTTP forwards a request, if its client may ask for it.
func (r *farmRoute) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if r.limit != nil {
		ticket, wait, verdict := r.clients.Take(r.limit, r.ClientOf(request))
		if verdict != ratelimit.Allowed {
			r.TooMany(w, request, wait)
			return
		}
		defer ticket.Release()
	}
	r.Changed.ServeHTTP(w, request)
}

// newFarm makes the pools and routes of a configuration. What is counted goes into
// the records, if there are any.
func newFarm(c *config.Config, known targets, records *poolRecords, errorPage func(http.ResponseWriter, *http.Request, int, string), log *slog.Logger) (*farm, error) {
	f := &farm{}
	for _, settings := range c.AllPools() {
		var counters *proxy.Counters
		if records != nil {
			counters = &records.of(settings.Name).counters
		}
		made, err := newProxy(&settings, known, counters, errorPage, poolLog(log, settings.Name))
		if err != nil {
			return nil, err
		}
		f.pools = append(f.pools, &pool{
			Proxy: made, Name: settings.Name, balance: balanceText(&settings.Forward), check: healthCheck(&settings, made.TLS),
		})
	}
	f.fallback = f.pool(config.DefaultPool)
	var rows []route.Route
	for i := range c.Routes {
		r := &c.Routes[i]
		p := f.pool(r.Pool)
		if p == nil {
			return nil, fmt.Errorf("routes[%d]: no pool %q", i, r.Pool) // A bug: the configuration was checked.
		}
		rows = append(rows, route.Route{Host: r.Host, Path: r.Path, Methods: r.Methods})
		row := farmRoute{Changed: proxy.Changed{Proxy: p.Proxy, Changes: changesOf(r)}, pool: p, text: routeText(r), limit: limitOf(r)}
		if row.limit != nil && records != nil {
			row.clients = records.limits()
		}
		f.routes = append(f.routes, row)
	}
	f.table = route.New(rows)
	return f, nil
}

// changesOf is what a route changes of a request and its answer.
func changesOf(r *config.Route) proxy.Changes {
	c := proxy.Changes{Request: fieldChanges(&r.RequestHeader), Response: fieldChanges(&r.ResponseHeader)}
	if w := (route.Rewrite{Strip: r.StripPrefix, Replace: r.ReplacePrefix}); w != (route.Rewrite{}) {
		c.Target = w.Apply
	}
	return c
}

// limitOf is what one client may ask of a route; nil is any amount. Its name stays
// the same over reloads, as long as what it is about does.
func limitOf(r *config.Route) *ratelimit.Limit {
	l := &r.PerClient
	if *l == (config.PerClient{}) {
		return nil
	}
	return &ratelimit.Limit{
		Requests: l.Rate.Requests, Per: l.Rate.Per, Burst: l.Burst, InFlight: l.InFlight, IPv4Prefix: l.IPv4Prefix, IPv6Prefix: l.IPv6Prefix,
		Name: xxhash.Sum64String(fmt.Sprintf("%q %q %q %v", r.Host, r.Path, r.Methods, *l)),
	}
}

// limitText says it in words.
func limitText(l *ratelimit.Limit) string {
	var parts []string
	if l.Requests > 0 {
		parts = append(parts, fmt.Sprintf("%d requests in %s, %d of them at once", l.Requests, strings.TrimSuffix(strings.TrimSuffix(l.Per.String(), "0s"), "0m"), l.Burst))
	}
	if l.InFlight > 0 {
		parts = append(parts, fmt.Sprintf("%d at work at a time", l.InFlight))
	}
	return fmt.Sprintf("%s; a client is an IPv4 /%d or an IPv6 /%d", strings.Join(parts, ", "), l.IPv4Prefix, l.IPv6Prefix)
}

func fieldChanges(from *config.FieldChanges) proxy.FieldChanges {
	c := proxy.FieldChanges{Remove: from.Remove}
	for _, f := range from.Set {
		c.Set = append(c.Set, proxy.Field(f))
	}
	return c
}

// poolLog is the log of a pool: it names all but the default one.
func poolLog(log *slog.Logger, name string) *slog.Logger {
	if name == config.DefaultPool {
		return log
	}
	return log.With("pool", name)
}

// pool returns the pool of that name, or nil.
func (f *farm) pool(name string) *pool {
	i := slices.IndexFunc(f.pools, func(p *pool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return f.pools[i]
}

// size is the number of backends in all pools.
func (f *farm) size() (n int) {
	for _, p := range f.pools {
		n += len(p.Pool.Backends())
	}
	return n
}

// inherit takes over what is known of the backends that stay in a pool of the same
// name. Call it before the farm is used.
func (f *farm) inherit(old *farm) {
	for _, p := range f.pools {
		if before := old.pool(p.Name); before != nil {
			p.Pool.Inherit(before.Pool)
		}
	}
}

// close closes unused connections of a farm that was replaced.
func (f *farm) close() {
	for _, p := range f.pools {
		p.Close()
	}
}

// Route implements site.Farm.
func (f *farm) Route(r *http.Request) http.Handler {
	if i := f.match(r); i >= 0 {
		return &f.routes[i]
	}
	if f.fallback == nil {
		return nil
	}
	return f.fallback
}

// match returns the number of the route that a request takes, or -1.
func (f *farm) match(r *http.Request) int {
	if len(f.routes) == 0 {
		return -1
	}
	return f.table.Match(r.Method, r.Host, pathOf(r))
}

// pathOf is the path that routes look at. That of a malformed target, which the
// proxy refuses, is empty.
func pathOf(r *http.Request) string {
	target, _ := proxy.OriginForm(r.Method, r.RequestURI)
	return route.Path(target)
}

// Explain implements site.Farm.
func (f *farm) Explain(r *http.Request) string {
	var b strings.Builder
	taken := f.match(r)
	for i := range f.routes {
		row := &f.routes[i]
		if why := f.table.Why(i, r.Method, r.Host, pathOf(r)); why != "" {
			fmt.Fprintf(&b, "route %-2d %s: not this %s\n", i, row.text, why)
			continue
		}
		fmt.Fprintf(&b, "route %-2d %s: matches\n", i, row.text)
		break
	}
	switch {
	case taken >= 0:
		row := &f.routes[taken]
		if row.limit != nil {
			fmt.Fprintf(&b, "limit    each client: %s\n", limitText(row.limit))
		}
		b.WriteString(row.pool.explain() + row.Explain(r))
	case f.fallback == nil:
		b.WriteString("pool     none: no route matches, and there are no top-level backends\n")
	default:
		b.WriteString(f.fallback.explain() + f.fallback.Explain(r))
	}
	return b.String()
}

// explain says how the pool chooses.
func (p *pool) explain() string { return fmt.Sprintf("pool     %s, %s\n", p.Name, p.balance) }

// routeText says what a route asks for.
func routeText(r *config.Route) string {
	var parts []string
	if r.Host != "" {
		parts = append(parts, "host "+r.Host)
	}
	if r.Path != "" {
		parts = append(parts, "path "+r.Path)
	}
	if len(r.Methods) > 0 {
		parts = append(parts, strings.Join(r.Methods, " or "))
	}
	if len(parts) == 0 {
		return "anything"
	}
	return strings.Join(parts, ", ")
}

// balanceText says how a pool chooses of the backends that may get a request.
func balanceText(f *config.Forward) string {
	text := map[string]string{
		"two_choices":       "the less busy one of two at random",
		"least_connections": "the one with the fewest requests in flight",
		"round_robin":       "one after the other",
		"hash":              "always the same one for the same " + strings.TrimSpace(f.HashOn.Kind+" "+f.HashOn.Name),
	}[f.Balance]
	if f.StickyCookie != "" {
		text += ", or the one that the cookie " + f.StickyCookie + " names"
	}
	return text
}
