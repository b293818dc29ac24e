package proxy

import (
	"net/http"
	"slices"
	"strings"
)

// Changes are what is different for some of the requests of a Proxy: those of a
// route. The zero value is nothing.
type Changes struct {
	// Target is the request target that is sent, in origin-form, made of the one
	// that came, which is a path or "*". nil leaves it as it is.
	Target func(string) string
	// Request are changes of the request's header, after all that the Proxy does to
	// it by itself, and Response of the final answer's as the backend sent it.
	Request, Response FieldChanges
}

// Nothing tells whether they are none.
func (c *Changes) Nothing() bool {
	return c.Target == nil && len(c.Request.Set)+len(c.Request.Remove)+len(c.Response.Set)+len(c.Response.Remove) == 0
}

// FieldChanges are fields that are set, whatever they were, and removed. They must
// not be about the connection or the framing. Names are in canonical form.
type FieldChanges struct {
	Set    []Field
	Remove []string
}

// Field is a header field.
type Field struct{ Name, Value string }

func (f *FieldChanges) apply(h http.Header) {
	for _, name := range f.Remove {
		delete(h, name)
	}
	for _, set := range f.Set {
		h[set.Name] = []string{set.Value}
	}
}

// dropDoubles removes what a client sent with _ for - in the name of a field that
// is changed: to programs that take fields from their environment, as by CGI and
// WSGI, it is the same.
func (f *FieldChanges) dropDoubles(h http.Header) {
	if len(f.Set)+len(f.Remove) == 0 {
		return
	}
	for name := range h {
		if !f.names(name) && f.concerns(name) {
			delete(h, name)
		}
	}
}

// concerns tells whether a field is changed, or could be taken for one that is.
func (f *FieldChanges) concerns(name string) bool {
	return f.names(name) || strings.Contains(name, "_") && f.names(http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")))
}

// names tells whether a field is changed.
func (f *FieldChanges) names(name string) bool {
	return slices.Contains(f.Remove, name) || slices.ContainsFunc(f.Set, func(set Field) bool { return set.Name == name })
}

// Changed is a Proxy with changes, for the requests of a route.
type Changed struct {
	*Proxy
	Changes Changes
}

// ServeHTTP is Proxy.ServeHTTP with the changes.
func (c *Changed) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.serve(w, r, &c.Changes) }
