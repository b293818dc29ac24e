package content

import "strconv"

// each calls yield for every field of the answer 200 with a representation,
// Date and Connection aside. This is the one list of them: tier 2 copies it
// into its header, the event loop renders it. kept tells that 304 has the field
// too (RFC 9110 §15.4.5: what a 200 would have had, unless it only describes
// the body, or the validator is there already).
func (r *Rules) each(server string, o *Object, rep *Representation, yield func(name, value string, kept bool)) {
	if server != "" {
		yield("Server", server, true)
	}
	yield("Content-Type", r.typeOf(o), false)
	yield("Content-Length", strconv.FormatInt(rep.Size, 10), false)
	if rep.Encoding != "" {
		yield("Content-Encoding", rep.Encoding, false)
	}
	if rep.LastModified != "" {
		yield("Last-Modified", rep.LastModified, false)
	}
	yield("Etag", rep.ETag, true)
	yield("Accept-Ranges", "bytes", true)
	if o.CacheControl != "" {
		yield("Cache-Control", o.CacheControl, true)
	}
	if o.Vary() {
		yield("Vary", "Accept-Encoding", true)
	}
}
