package main

import (
	"slices"

	"ramjet/accelerator/bench/fileset"
)

// benchmark is a row of the result: a load, the subjects that get it in turn,
// and what is to come out.
type benchmark struct {
	name  string // for -cases
	title string // for people
	brief string // for the chart, if the title is too long for it
	note  string // what the title does not say, or empty

	requests    []request
	order       []uint16 // nil: only the first request
	connections int
	depth       int     // requests sent at once; 0 means 1
	closes      bool    // a new connection for each request
	rate        float64 // per second, of an open loop; 0: closed, unless the measure wants it open
	forwards    bool    // there is a backend

	measure  measure
	subjects []subject
	targets  []target
}

// short is the title for where there is little room.
func (b *benchmark) short() string {
	if b.brief != "" {
		return b.brief
	}
	return b.title
}

// target is a promise: subject's figure is at most so many times that of
// against, or, if against is empty, at most so much.
type target struct {
	subject, against string
	atMost           float64
}

const (
	ramjet   = "ramjet"
	netHTTP  = "net/http" // Ramjet without its event loop: the control
	nginx    = "nginx"
	h2o      = "h2o"
	lighttpd = "lighttpd"
	haproxy  = "haproxy"
	floor    = "C floor"
)

// everyone is who serves most cases. The C floor answers from memory what it
// was given, so it has no part in those with many or very large files.
func everyone(andFloor bool) []subject {
	all := []subject{
		{name: ramjet, server: ramjet}, {name: netHTTP, server: netHTTP},
		{name: nginx, server: nginx}, {name: h2o, server: h2o}, {name: lighttpd, server: lighttpd},
	}
	if andFloor {
		all = append(all, subject{name: floor, server: floor})
	}
	return all
}

func file(path string) []request { return []request{{path: path}} }

// benchmarks is all that is measured, with the targets.
func benchmarks() []benchmark {
	return slices.Concat(requestCosts(), variantCosts(), behaviours(), forwardCosts())
}

// requestCosts are the kinds of requests, from everyone.
func requestCosts() []benchmark {
	var mix []request
	for _, f := range fileset.Mix() {
		mix = append(mix, request{path: f.Path})
	}
	return []benchmark{
		{
			name: "1k", title: "1 KB", requests: file(fileset.KB1), connections: 64,
			measure: cost, subjects: everyone(true),
			targets: []target{{ramjet, nginx, 0.65}, {ramjet, h2o, 0.85}, {ramjet, floor, 1.08}},
		},
		{
			name: "10k", title: "10 KB", requests: file(fileset.KB10), connections: 64,
			measure: cost, subjects: everyone(true),
			targets: []target{{ramjet, nginx, 0.73}},
		},
		{
			name: "mix", title: "SPECweb mix", brief: "mix", note: "720 files of 0.1 to 900 KB, mean answer 14.7 KB",
			requests: mix, order: fileset.MixOrder(1 << 16), connections: 64,
			measure: cost, subjects: everyone(false),
			targets: []target{{ramjet, nginx, 0.77}, {ramjet, h2o, 0.65}},
		},
		{
			name: "100k", title: "100 KB", requests: file(fileset.KB100), connections: 64,
			measure: cost, subjects: everyone(true),
			targets: []target{{ramjet, nginx, 0.87}, {ramjet, h2o, 1.00}},
		},
		{
			name: "1m", title: "1 MB", requests: file(fileset.MB1), connections: 64,
			measure: cost, subjects: everyone(false),
			targets: []target{{ramjet, nginx, 0.40}, {ramjet, h2o, 0.60}},
		},
		{
			name: "pipelined", title: "1 KB, 16 pipelined", brief: "pipelined", requests: file(fileset.KB1), connections: 64, depth: 16,
			measure: cost, subjects: everyone(true),
			targets: []target{{ramjet, nginx, 0.12}},
		},
		{
			name: "newconn", title: "1 KB, new connection each", brief: "new conn.",
			requests: []request{{path: fileset.KB1, closes: true}}, connections: 64, closes: true,
			measure: cost, subjects: everyone(true),
			targets: []target{{ramjet, nginx, 0.80}, {ramjet, h2o, 0.95}},
		},
		{
			name: "304", title: "304 Not Modified", brief: "304", note: "If-None-Match with the ETag of the 1 KB file",
			requests: []request{{path: fileset.KB1, conditional: true}}, connections: 64,
			measure: cost, subjects: everyone(true),
			targets: []target{{ramjet, nginx, 0.65}},
		},
	}
}
