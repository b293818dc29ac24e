package main

import "ramjet/accelerator/bench/fileset"

// noise is by how much the ratio of two figures may miss 1 when both are the
// same. A target of "no dearer" allows it.
const noise = 0.02

// variantCosts compare a server with itself in another state, for the most part.
func variantCosts() []benchmark {
	return []benchmark{
		{
			name: "log", title: "1 KB with an access log",
			note:     "combined format, to a file; nginx with a buffer of 64 KiB; all lines are there in the end",
			requests: file(fileset.KB1), connections: 64, measure: cost,
			subjects: []subject{
				{name: "ramjet, log", server: ramjet, log: true}, {name: ramjet, server: ramjet},
				{name: "nginx, log", server: nginx, log: true}, {name: nginx, server: nginx},
			},
			targets: []target{{"ramjet, log", "nginx, log", 0.65}, {"ramjet, log", ramjet, 1.05}},
		},
		{
			name: "precompressed", title: "Precompressed text",
			note:        "64 KiB of text from siblings made beforehand, against files as large as those without siblings; the same Accept-Encoding for both",
			connections: 64, measure: cost,
			subjects: []subject{
				coded("ramjet br", ramjet, fileset.Text, "br, gzip", "br"), coded("ramjet as br", ramjet, fileset.LikeBr, "br, gzip", ""),
				coded("ramjet gzip", ramjet, fileset.Text, "gzip", "gzip"), coded("ramjet as gzip", ramjet, fileset.LikeGz, "gzip", ""),
				coded("nginx br", nginx, fileset.Text, "br, gzip", "br"), coded("nginx as br", nginx, fileset.LikeBr, "br, gzip", ""),
				coded("nginx gzip", nginx, fileset.Text, "gzip", "gzip"), coded("nginx as gzip", nginx, fileset.LikeGz, "gzip", ""),
			},
			targets: []target{
				{"ramjet br", "ramjet as br", 1 + noise}, {"ramjet gzip", "ramjet as gzip", 1 + noise},
			},
		},
		{
			name: "cores", title: "1 KB on 2 cores", note: "where there are only two, the client runs on them as well",
			requests: file(fileset.KB1), connections: 64, measure: cost,
			subjects: []subject{
				{name: "ramjet, 2 cores", server: ramjet, loops: 2}, {name: ramjet, server: ramjet},
				{name: "nginx, 2 cores", server: nginx, loops: 2}, {name: nginx, server: nginx},
			},
			targets: []target{{"ramjet, 2 cores", ramjet, 1.05}, {"ramjet, 2 cores", "nginx, 2 cores", 0.65}},
		},
	}
}

// coded is a server that may send siblings, asked for one file.
func coded(name, server, path, accept, coding string) subject {
	return subject{name: name, server: server, siblings: true, requests: []request{{path: path, accept: accept, coding: coding}}}
}

// behaviours are what counts besides the cost.
func behaviours() []benchmark {
	some := []subject{{name: ramjet, server: ramjet}, {name: nginx, server: nginx}, {name: h2o, server: h2o}, {name: lighttpd, server: lighttpd}}
	two := []subject{{name: ramjet, server: ramjet, loops: 2}, {name: nginx, server: nginx, loops: 2}}
	// The busier core of two does at most 65 %. With 3 of 4 connections it would do
	// 75 %; that a wakeup costs more on one core than on the other is within it.
	const evenly = 1.3
	return []benchmark{
		{
			name: "memory", title: "10,000 idle connections", note: "each has had an answer; resident memory over that before the first one",
			requests: file(fileset.KB1), connections: 10_000, measure: memory, subjects: everyone(false),
			targets: []target{{ramjet, "", 10}, {ramjet, nginx, 1}},
		},
		{
			name: "tail", title: "1 KB, p99.9 under load",
			note:     "open loop: requests at random times, at 70 % of what the slowest can do, latency from the intended time",
			requests: file(fileset.KB1), connections: 64, measure: tail, subjects: some,
			targets: []target{{ramjet, nginx, 1}},
		},
		{
			name: "balance4", title: "4 connections on 2 cores", note: "worst round; 1 is even, 2 is one core doing it all",
			requests: file(fileset.KB1), connections: 4, measure: balance, subjects: two,
			targets: []target{{ramjet, "", evenly}},
		},
		{
			name: "balance8", title: "8 connections on 2 cores", note: "worst round; 1 is even, 2 is one core doing it all",
			requests: file(fileset.KB1), connections: 8, measure: balance, subjects: two,
			targets: []target{{ramjet, "", evenly}},
		},
	}
}
