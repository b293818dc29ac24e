// Package content holds the static side of the accelerator: which requests it
// may answer by itself, and what it answers them with.
//
// A Store reads a directory tree into an immutable Snapshot and swaps it whole
// whenever the tree changes. A Snapshot maps paths to Objects; an Object has one
// Representation for each content coding; everything a response needs is
// computed once, at load. A request holds its *Representation for as long as it
// needs it, so a swap never disturbs a response in flight, and the garbage
// collector is the reference count.
//
//	store.go      Store: load, swap, options       watch.go      when to load again
//	kept.go       files of earlier releases
//	load.go       the walk and the reading         identity.go   has this file changed?
//	snapshot.go   Snapshot, Object                 body.go       bytes from memory or a file
//	rules.go      kHTTPd's seven rules, one table  target.go     request target -> path
//	encoding.go   Accept-Encoding                  types.go      file name -> media type
//	handler.go    GET and HEAD over net/http       clock.go      is the time of day known?
package content
