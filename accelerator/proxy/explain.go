package proxy

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"

	"ramjet/accelerator/backend"
)

// Explain says in lines of words who may get a request and what would be sent: the
// request has a method, a target, a host, and no fields. Nothing is sent.
func (p *Proxy) Explain(r *http.Request) string { return p.explain(r, &Changes{}) }

// Explain is Proxy.Explain with the changes.
func (c *Changed) Explain(r *http.Request) string { return c.explain(r, &c.Changes) }

// exampleClient stands for the client's address; RFC 5737 has it for that.
const exampleClient = "192.0.2.1"

func (p *Proxy) explain(r *http.Request, changes *Changes) string {
	var b strings.Builder
	key := uint64(0)
	if p.HashOn == HashPath { // All else that it may depend on is the client's.
		key = backend.Key(r.URL.Path)
	}
	for line := range strings.Lines(p.Pool.Explain(key)) {
		b.WriteString("backend  " + line)
	}
	target, ok := OriginForm(r.Method, r.RequestURI)
	if !ok {
		b.WriteString("request  is refused: its target is malformed\n")
		return b.String()
	}
	if changes.Target != nil {
		target = changes.Target(target)
	}
	fmt.Fprintf(&b, "request  %s %s HTTP/1.1\n", r.Method, target)

	// The fields are those that the real code makes.
	in := r.Clone(r.Context())
	in.RemoteAddr = exampleClient + ":1"
	out := in.Clone(in.Context())
	x := exchange{proxy: p, in: in, changes: changes}
	x.rewrite(&httputil.ProxyRequest{In: in, Out: out})
	host := out.Host
	if host == "" {
		host = "that of the backend's URL"
	}
	fmt.Fprintf(&b, "request  Host: %s\n", host)
	for _, name := range slices.Sorted(maps.Keys(out.Header)) {
		for _, value := range out.Header[name] {
			fmt.Fprintf(&b, "request  + %s: %s\n", name, strings.ReplaceAll(value, exampleClient, "<client>"))
		}
	}
	b.WriteString("request  - the fields of the connection, and what a client that is not trusted says of whom it forwards for\n")
	changes.Request.explainRemoved(&b, "request")
	changes.Response.explainRemoved(&b, "answer")
	for _, set := range changes.Response.Set {
		fmt.Fprintf(&b, "answer   + %s: %s\n", set.Name, set.Value)
	}
	return b.String()
}

func (f *FieldChanges) explainRemoved(b *strings.Builder, of string) {
	for _, name := range f.Remove {
		fmt.Fprintf(b, "%-7s  - %s\n", of, name)
	}
}
