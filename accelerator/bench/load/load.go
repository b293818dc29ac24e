// Package load makes HTTP/1.1 load on one thread, at so little cost per request
// that one core of it saturates a server on another.
//
// It does not parse: a request is ready-made bytes, and how long its answer is
// was learned from a first one (Probe). What it checks of each answer is its
// status line, its length (the next answer must begin right behind it), and that
// nothing comes unasked.
//
// A closed loop keeps every connection busy: throughput, and the cost of a
// request. An open loop sends at given times, whether the server keeps up or
// not, and counts latency from those times: what a user would see.
//
// For proxies it has the other end as well: a Backend, which answers on the same
// thread at even less cost.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Request is what is sent, and what must come back.
type Request struct {
	Bytes  []byte
	Status string // the beginning of the answer, such as "HTTP/1.1 200"
	Length int    // of the whole answer, head and body
}

// Shape is a kind of load.
type Shape struct {
	Address  netip.AddrPort
	Requests []Request
	// Order lists which of the Requests follows which; at its end it begins
	// anew. Empty means the first one only.
	Order       []uint16
	Connections int
	// Depth is how many requests a connection sends at once, before it waits
	// for all their answers. 0 means 1.
	Depth int
	// Close makes a new connection for each request. The requests must ask the
	// server to close, and the answer counts when it did.
	Close bool
	// Rate is the requests per second of an open loop, at random times (a
	// Poisson process). 0 means a closed loop.
	Rate float64
	// Hello, if it has bytes, is what each connection begins with, such as a
	// WebSocket's handshake. Open waits for all its answers.
	Hello Request
	// Backend, if any, is served by the same thread.
	Backend *Backend
}

// stall is how long no answer at all may come before Run gives up.
const stall = 5 * time.Second

// Generator is a load under way. It is for one goroutine.
type Generator struct {
	shape Shape
	epoll int
	conns []conn
	next  int // index into the order of requests

	buffer  []byte
	events  []unix.EpollEvent
	latency *hdrhistogram.Histogram // of this Run
	done    int64                   // answers of this Run
	opening bool                    // not all connections are there

	// The open loop.
	idle    []int32 // a ring of connections that wait for work
	first   int     // the first of them in the ring
	waiting int     // how many they are
	due     int64   // when the next request is intended, ns
	random  *rand.Rand
	began   time.Time // of the clock
}

// Open connects. Run makes the load, and may be called many times: the first
// time to warm up.
func Open(shape Shape) (*Generator, error) {
	if shape.Connections < 1 || len(shape.Requests) == 0 {
		return nil, fmt.Errorf("a load needs connections and requests, not %d and %d", shape.Connections, len(shape.Requests))
	}
	if shape.Close && len(shape.Hello.Bytes) > 0 {
		return nil, errors.New("a load with a connection for each request has no use for a hello")
	}
	shape.Depth = max(shape.Depth, 1)
	if len(shape.Order) == 0 {
		shape.Order = []uint16{0}
	}
	// One more request, which the order does not have.
	shape.Requests = append(slices.Clone(shape.Requests), shape.Hello)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	g := &Generator{
		shape: shape, epoll: epoll,
		conns:  make([]conn, shape.Connections),
		buffer: make([]byte, 256<<10),
		events: make([]unix.EpollEvent, 256),
		idle:   make([]int32, shape.Connections),
		random: rand.New(rand.NewPCG(1, 2)),
		began:  time.Now(),
	}
	for i := range g.conns {
		g.conns[i].fd = -1
	}
	if err := g.open(); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// open makes all connections.
func (g *Generator) open() error {
	// So many at a time say hello: no queue of a listener runs over.
	const batch = 100
	if g.shape.Backend != nil {
		g.shape.Backend.mu.Lock()
		defer g.shape.Backend.mu.Unlock()
	}
	g.opening = true
	for i := range g.conns {
		if err := g.connect(int32(i)); err != nil {
			return err
		}
		if len(g.shape.Hello.Bytes) == 0 {
			g.rest(int32(i))
			continue
		}
		if err := g.sayHello(int32(i)); err != nil {
			return err
		}
		if i%batch == batch-1 || i == len(g.conns)-1 {
			if err := g.settle(i + 1); err != nil {
				return err
			}
		}
	}
	g.opening = false
	return nil
}

// settle waits until so many connections have had the answer to their hello.
func (g *Generator) settle(connections int) error {
	deadline := g.now() + int64(stall)
	for g.waiting < connections {
		if _, err := g.turn(); err != nil {
			return err
		}
		if g.now() > deadline {
			return fmt.Errorf("%d of %d connections had no answer to their hello for %v", connections-g.waiting, connections, stall)
		}
	}
	return nil
}

// Close ends the connections.
func (g *Generator) Close() {
	for i := range g.conns {
		if g.conns[i].fd >= 0 {
			unix.Close(g.conns[i].fd)
		}
	}
	unix.Close(g.epoll)
}

// Run makes load for a time, counts the answers that came within it, and records
// their latencies in nanoseconds. What is in flight at the end stays so until
// the next Run.
func (g *Generator) Run(ctx context.Context, d time.Duration, latency *hdrhistogram.Histogram) (answers int64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if g.shape.Backend != nil {
		g.shape.Backend.mu.Lock()
		defer g.shape.Backend.mu.Unlock()
	}
	g.latency, g.done = latency, 0
	now := g.now()
	end, last, lastDone := now+int64(d), now, int64(0)
	g.due = now
	for now < end {
		if err := g.issue(now); err != nil {
			return g.done, err
		}
		n, err := g.turn()
		if err != nil {
			return g.done, err
		}
		now = g.now()
		if g.done != lastDone {
			last, lastDone = now, g.done
		} else if now-last > int64(stall) {
			return g.done, fmt.Errorf("no answer for %v, with %d connections", stall, g.shape.Connections)
		}
		if n == 0 && ctx.Err() != nil {
			return g.done, ctx.Err()
		}
	}
	return g.done, ctx.Err()
}

// turn handles what has happened, and returns how much that was. It never
// sleeps. The core is its own, and a client that sleeps would be woken by the
// server's core, at the server's expense.
func (g *Generator) turn() (int, error) {
	n, err := wait(g.epoll, g.events)
	if err != nil {
		return 0, err
	}
	for _, event := range g.events[:n] {
		if err := g.serve(event); err != nil {
			return n, err
		}
	}
	if g.shape.Backend == nil {
		return n, nil
	}
	more, err := g.shape.Backend.poll()
	return n + more, err
}

// issue gives work to connections that wait for some: all of them in a closed
// loop, as many as are due in an open one.
func (g *Generator) issue(now int64) error {
	for g.waiting > 0 {
		sent := now
		if g.shape.Rate > 0 {
			if g.due > now {
				return nil
			}
			sent = g.due
			g.due += int64(g.random.ExpFloat64() * 1e9 / g.shape.Rate)
		}
		i := g.idle[g.first]
		g.first = (g.first + 1) % len(g.idle)
		g.waiting--
		if err := g.send(i, sent); err != nil {
			return err
		}
	}
	return nil
}

// rest puts a connection at the end of those that wait for work.
func (g *Generator) rest(i int32) {
	g.idle[(g.first+g.waiting)%len(g.idle)] = i
	g.waiting++
}

func (g *Generator) now() int64 { return int64(time.Since(g.began)) }

// NewLatency returns an empty histogram for Run: 1 ns to 60 s, to 0.1 %.
func NewLatency() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute), 3)
}
