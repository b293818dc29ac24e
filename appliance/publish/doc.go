// Package publish sends the folder of a site to a box, which makes a release of it: only what the box lacks, several
// contents at a time, and on from where it was when a connection is cut.
//
//	publish.go  the steps        box.go      the calls of the API
//	send.go     what is sent     batch.go    the contents of one request
//	compress.go what is added    progress.go how far it is
//	tree/       reads the folder
//	precompress/ compresses
package publish
