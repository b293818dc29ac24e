// Package eventloop is the fast path: one loop for each CPU, which answers simple
// requests for static files, relays plain ones to the farm, and hands every other
// connection, untouched, to the complete tier. It can only say yes: it has no error pages and no redirects.
//
//	server.go   all loops              loop.go      one loop, its connections
//	accept.go   new connections        conn.go      a connection, the state machine
//	serve.go    the way of requests    request.go   three-answer parser
//	                                   requestfield.go  what its fields mean
//	match.go    what is asked for      reason.go    why a request is not ours
//	batch.go    answers in one write   output.go    what did not fit into it
//	file.go     bodies from files      handoff.go   to the complete tier
//	farm.go     who is behind          exchange.go  a request for a backend, its answer
//	forward.go  heads, as passed on    answer.go    what comes back
//	reply.go    parser of its head     framing.go   and of its body
//	link.go     backends' connections  affinity.go  requests that belong together
//	tunnel.go   other protocols        splice.go    large bodies
//	wheel.go    deadlines              clock.go     time and Date
//	inbox.go    news from outside      counters.go  what is counted
//	far.go      clients far away       syscall.go   every system call
package eventloop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/backend"
	"ramjet/accelerator/connlimit"
)

// Limits bound what clients may take. All are needed.
type Limits struct {
	// HeadBytes bounds a head; a longer one is for the complete tier, as is one
	// that the loop's buffer of 8 KiB does not hold.
	HeadBytes int
	// HeadTime bounds the time for a head to arrive, for the first of a connection
	// from its accept.
	HeadTime time.Duration
	// IdleTime bounds the time between an answer and the next request.
	IdleTime time.Duration
	// StallTime bounds the time for which a client may acknowledge nothing of its
	// answer. It is cut between one and one and a half times this value.
	StallTime time.Duration
}

// A Server is all loops. The fields are set before Listen and not changed
// afterwards.
type Server struct {
	Loops   int // 0: one for each CPU that the process may use; Listen sets it
	Limits  Limits
	Limiter *connlimit.Limiter
	Log     *slog.Logger

	// ProxyFrom are the networks of proxies whose connections begin with a header of
	// the PROXY protocol. The complete tier reads that, and keeps them.
	ProxyFrom []netip.Prefix

	// AccessLog gets a line for each request that a loop answers; nil for none.
	AccessLog *accesslog.Log

	scene   atomic.Pointer[scene]
	loops   []*loop
	handoff *Handoff

	jobs        chan job    // for the helpers
	noCachestat atomic.Bool // the kernel does not tell what is cached
}

// maxJobs bounds the pieces of files that wait for a helper.
const maxJobs = 4096

// Addr returns the address at which the loops listen.
func (s *Server) Addr() net.Addr { return s.handoff.addr }

// Handoff returns the listener of what the loops do not answer.
func (s *Server) Handoff() *Handoff { return s.handoff }

// Listen listens at a TCP address, host:port, with one socket for each loop.
// Connections wait until Run.
func (s *Server) Listen(address string) error {
	// With SO_REUSEPORT a second program of the same user would get half of the
	// connections. Without it the kernel tells.
	probe, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if port := probe.Addr().(*net.TCPAddr).Port; port != 0 {
		host, _, _ := net.SplitHostPort(address)
		address = net.JoinHostPort(host, fmt.Sprint(port))
	}
	probe.Close()
	cpus := CPUs()
	if s.Loops == 0 {
		s.Loops = len(cpus)
	}
	s.jobs = make(chan job, maxJobs)
	for i := range s.Loops {
		addr, fd, err := s.listen(address)
		if err != nil {
			s.close()
			return err
		}
		if s.handoff == nil {
			s.handoff = &Handoff{addr: addr, limiter: s.Limiter, queue: make(chan handed, queueLength), closed: make(chan struct{})}
		}
		l, err := s.newLoop(fd, cpus[i%len(cpus)])
		if err != nil {
			closeDescriptor(fd)
			s.close()
			return err
		}
		s.loops = append(s.loops, l)
	}
	s.Limiter.OnFree(func() { s.tell(message{room: true}) })
	return nil
}

// proxied reports whether connections from there begin with a header.
func (s *Server) proxied(from netip.Addr) bool {
	for _, n := range s.ProxyFrom {
		if n.Contains(from) {
			return true
		}
	}
	return false
}

// listen opens one listening socket. What is set here the connections inherit.
func (s *Server) listen(address string) (net.Addr, int, error) {
	control := func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = prepare(int(fd), s.Loops > 1) })
		return errors.Join(err, failed)
	}
	config := net.ListenConfig{Control: control}
	config.SetMultipathTCP(false) // Go's default: it costs each connection, and few clients ask for it.
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, -1, err
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, -1, err
	}
	defer file.Close()
	fd, err := duplicate(file)
	return listener.Addr(), fd, err
}

func (s *Server) newLoop(listener, cpu int) (*loop, error) {
	l := &loop{
		server: s, cpu: cpu, listener: listener, epoll: -1, bell: -1, reserve: newReserve(),
		goesFar: beginNear(listener),
		clock:   newClock(), batch: newBatch(),
		in: make([]byte, readBuffer), answerIn: make([]byte, readBuffer), links: map[*backend.Backend][]*conn{}, maxHead: min(s.Limits.HeadBytes, headBuffer),
	}
	for state, row := range states {
		if row.limit != nil {
			l.limit[state] = int64(row.limit(&s.Limits))
		}
	}
	if s.AccessLog != nil {
		l.ring = s.AccessLog.NewRing()
	}
	l.wheel.next = numSpokes
	var err error
	if l.epoll, err = newEpoll(); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if l.bell, err = newBell(); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	for fd, k := range map[int]key{l.bell: bellKey, listener: listenerKey} {
		if errno := watch(l.epoll, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, k); errno != 0 {
			return nil, fmt.Errorf("epoll_ctl: %w", errno)
		}
	}
	return l, nil
}

// close gives back what Listen opened before it failed.
func (s *Server) close() {
	for _, l := range s.loops {
		l.end()
	}
}

// Run serves until ctx ends. Then no connection is accepted any more, and those
// in the middle of an answer have until bound ends to finish; it returns whether
// they did.
func (s *Server) Run(ctx context.Context, bound func() context.Context) (finished bool) {
	for range helpers {
		go s.help()
	}
	var loops sync.WaitGroup
	for _, l := range s.loops {
		loops.Go(l.run)
	}
	ended := make(chan struct{})
	go func() {
		loops.Wait()
		close(ended)
	}()
	<-ctx.Done()
	s.tell(message{drain: true})
	finished = true
	select {
	case <-ended:
	case <-bound().Done():
		finished = false
		s.tell(message{cut: true})
		<-ended
	}
	close(s.jobs)
	return finished
}

// tell tells all loops.
func (s *Server) tell(m message) {
	for _, l := range s.loops {
		l.inbox.post(m, l.bell)
	}
}
