package eventloop

import (
	"context"
	"net"
	"net/netip"
	"time"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/content"
)

// A Farm is what the loops know of the servers behind: who they are, and how a
// request is passed on to them. What it cannot say the complete tier sees to.
// Immutable.
type Farm struct {
	Pool *backend.Pool // all of them http
	// Dial makes a connection to a backend that is not at a known address of TCP,
	// within its time. It is called from goroutines of its own.
	Dial func(ctx context.Context, b *backend.Backend) (net.Conn, error)

	Connect   time.Duration // for a backend to accept a connection; 0 is no limit
	FirstByte time.Duration // from the end of the request to the head of the answer; 0 is no limit
	Idle      time.Duration // between two pieces of a body; 0 is no limit
	KeepAlive time.Duration // for which an unused connection is kept
	HeadBytes int           // of an answer's head
	BodyBytes int64         // the largest body of a request that is passed on, 0 for any

	// Note is told what happens to a request. It is called by the loops, and must
	// not wait.
	Note func(Event)

	XForwarded  bool           // the backend learns of the client by X-Forwarded-For and the like
	Forwarded   bool           // by Forwarded, RFC 7239
	Trusted     []netip.Prefix // of proxies in front, which are believed what they say of who asks
	RewriteHost bool           // Host is the backend's

	HashOn   HashOn // what requests to the same backend have in common, if the pool's balance is by hash
	HashName string // of the header field or cookie
	Sticky   string // the cookie that keeps a client with its backend, "" for none
}

// Event is something that happens to a request that is relayed. Each that Began comes
// to one of the others that end it.
type Event uint8

// The events.
const (
	Began          Event = iota
	Relayed              // the whole answer was passed on, or a tunnel has ended
	GivenUp              // a backend failed it before its answer; it was handed to the complete tier
	ClientAborted        // the client went away before it had the whole answer
	ClientStalled        // the client stopped reading the answer
	BackendAborted       // the backend broke off its answer
	BackendStalled       // the backend stopped sending inside of its answer

	Retried     // on the way: a kept connection to the backend was closed just then, and it was sent again
	TunnelBegan // on the way: the backend agreed to another protocol
	TunnelEnded // before Relayed
)

// troubles are the names of the events that end an exchange badly, as the metrics
// have them.
var troubles = [TunnelEnded + 1][]byte{
	ClientAborted:  []byte("client_aborted"),
	ClientStalled:  []byte("client_stalled"),
	BackendAborted: []byte("backend_aborted"),
	BackendStalled: []byte("backend_stalled"),
}

// Trouble is the name of an event that ends an exchange badly, "" for others.
func (e Event) Trouble() string { return string(troubles[e]) }

// scene is what the loops serve from. Immutable.
type scene struct {
	view  *content.View
	route Route
}

// A Route says to whom a request goes that is not static: nil is nobody whom the
// loops can forward to. It is called for each such request. host and target, as
// they were received, are only lent.
type Route func(method, host, target string) *Farm

// Show puts a view of the content, and a way to the farm, to work, from the next
// request on. Without a farm route is nil.
func (s *Server) Show(v *content.View, route Route) { s.scene.Store(&scene{v, route}) }

// CloseUnused closes the unused connections to a backend, of all loops.
func (s *Server) CloseUnused(b *backend.Backend) { s.tell(message{drained: b}) }

// trusts reports whether an address is one of a proxy in front.
func (f *Farm) trusts(a netip.Addr) bool {
	for _, n := range f.Trusted {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
