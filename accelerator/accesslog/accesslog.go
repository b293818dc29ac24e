// Package accesslog writes one line for each request, to a file, the standard
// output or syslog, without ever making a request wait for it.
//
// Whoever answers requests puts a Record into a ring of bytes: a copy, no lock,
// no allocation, no system call. One goroutine empties all rings, formats what
// it finds and writes it in batches. If it cannot keep up, or the destination
// fails, rings run full and records are dropped and counted.
//
//	record.go  what is known of a request       ring.go    one producer, one consumer
//	entry.go   a record as bytes in a ring      shared.go  a ring for many producers
//	format.go  the formats, one table           clf.go, json.go, escape.go, stamp.go
//	log.go     Log: settings, counters          writer.go  the goroutine: when to write, what if it fails
//	destination.go, file.go, rotate.go, syslog.go
//
//	log := accesslog.New(options, slog.Default())
//	ring := log.NewRing()     // for one goroutine
//	shared := log.NewShared() // for any number of them
//	go log.Run(ctx)           // writes until ctx ends, then what is left
//
// The lines of one ring are in the order of their requests' ends; those of
// several rings are mixed batch by batch. A power cut takes what the kernel has
// not yet written to the disk, usually half a minute: only the end of Run waits
// for the disk.
//
// The package does not import net/http, for the event loop must not.
package accesslog
