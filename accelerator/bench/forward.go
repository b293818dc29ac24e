package main

import (
	"fmt"
	"math/rand/v2"

	"ramjet/accelerator/bench/fileset"
)

// forwardCosts are requests that a backend answers.
func forwardCosts() []benchmark {
	all := []subject{{name: ramjet, server: ramjet}, {name: netHTTP, server: netHTTP}, {name: nginx, server: nginx}, {name: haproxy, server: haproxy}}
	requests, order := dynamicMix(1 << 16)
	return []benchmark{
		{
			name: "forward-100b", title: "GET, 100 B", brief: "100 B", forwards: true,
			requests: []request{dynamic(100, 0)}, connections: 64, measure: cost, subjects: all,
			targets: []target{{ramjet, nginx, 0.92}, {ramjet, haproxy, 0.95}},
		},
		{
			name: "forward-10k", title: "GET, 10 KB", brief: "10 KB", forwards: true,
			requests: []request{dynamic(10<<10, 0)}, connections: 64, measure: cost, subjects: all,
			targets: []target{{ramjet, nginx, 0.90}, {ramjet, haproxy, 0.90}},
		},
		{
			name: "forward-1m", title: "GET, 1 MB", brief: "1 MB", forwards: true,
			requests: []request{dynamic(1<<20, 0)}, connections: 64, measure: cost, subjects: all,
			targets: []target{{ramjet, haproxy, 1}},
		},
		{
			name: "forward-post", title: "POST of 10 KB, 100 B", brief: "POST 10 KB", forwards: true,
			requests: []request{dynamic(100, 10<<10)}, connections: 64, measure: cost, subjects: all,
			targets: []target{{ramjet, haproxy, 1}},
		},
		{
			name: "forward-mix", title: "SPECweb99 mix", brief: "mix", forwards: true,
			note:     "70 % files, 30 % from the backend, with the same sizes, 4.8 % being POSTs; HAProxy serves no files",
			requests: requests, order: order, connections: 64, measure: cost, subjects: all[:3],
			targets: []target{{ramjet, nginx, 0.80}},
		},
		{
			name: "forward-websocket", title: "5,000 WebSockets", brief: "WebSocket", forwards: true,
			note:     "a message of 100 B through each, once a second, and its echo; a request is both",
			requests: []request{{path: "/cgi-bin/socket", socket: messageSize}}, connections: sockets, rate: sockets,
			measure: cost, subjects: all,
			targets: []target{{ramjet, haproxy, 1}},
		},
		{
			name: "forward-memory", title: "Memory of 5,000 WebSockets", forwards: true,
			note:     "each has had a message and its echo; resident memory over that before the first one",
			requests: []request{{path: "/cgi-bin/socket", socket: messageSize}}, connections: sockets,
			measure: memory, subjects: all,
			targets: []target{{ramjet, haproxy, 1.2}},
		},
		{
			name: "forward-latency", title: "GET, 100 B, added latency", forwards: true,
			note: "open loop: requests at random times, at half of what the slowest can do, latency from the intended time; " +
				"what p99.9 is over that of the client and the backend alone at the same rate",
			requests: []request{dynamic(100, 0)}, connections: 64, measure: added, subjects: all,
			targets: []target{{ramjet, haproxy, 1}},
		},
	}
}

const (
	sockets     = 5000
	messageSize = 100
)

// dynamic is a request that the backend answers with so many bytes, and a POST
// if there is a body to send.
func dynamic(answer, body int) request {
	return request{path: fmt.Sprintf("/cgi-bin/bytes/%d", answer), answer: answer, body: body}
}

// The dynamic part of SPECweb99, of all requests and of the dynamic ones. Its
// answers have the sizes of the files, for they are made of them.
const (
	dynamicShare = 0.30
	postShare    = 0.048 / dynamicShare
	postSize     = 300 // about as much as its forms have
)

// dynamicMix is the mix of files with dynamic requests, n of them.
func dynamicMix(n int) (requests []request, order []uint16) {
	files := fileset.Mix()
	index := map[request]uint16{}
	for _, f := range files {
		requests = append(requests, request{path: f.Path})
	}
	random := rand.New(rand.NewPCG(99, 30))
	for _, i := range fileset.MixOrder(n) {
		if random.Float64() < dynamicShare {
			r := dynamic(files[i].Size, 0)
			if random.Float64() < postShare {
				r.body = postSize
			}
			at, known := index[r]
			if !known {
				at = uint16(len(requests))
				index[r] = at
				requests = append(requests, r)
			}
			i = at
		}
		order = append(order, i)
	}
	return requests, order
}
