package resolver

import (
	"encoding/binary"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// lifetime is how long the answers to a question are good: as long as the record
// that ends first. The zero value has seen no answer.
type lifetime struct {
	mu      sync.Mutex
	known   bool
	seconds uint32
}

func (l *lifetime) limit(seconds uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known || seconds < l.seconds {
		l.known, l.seconds = true, seconds
	}
}

// unspoken is how long an answer of the hosts file is good, which does not say.
const unspoken = 10 * time.Second

func (l *lifetime) get() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		return unspoken
	}
	return time.Duration(l.seconds) * time.Second
}

// witness returns a connection that does as c, and reads along.
func (l *lifetime) witness(c net.Conn) net.Conn {
	if udp, ok := c.(*net.UDPConn); ok {
		return &datagrams{UDPConn: udp, seen: exchange{ttl: l}}
	}
	return &stream{Conn: c, seen: exchange{ttl: l}}
}

// exchange is a question and its answer.
type exchange struct {
	ttl      *lifetime
	question []byte // a message
}

// answer looks at a message that was received. It counts if it belongs to the
// question, by the same test as Go's resolver has: anybody may send datagrams.
func (e *exchange) answer(message []byte) {
	var asked, got dnsmessage.Parser
	q, err := asked.Start(e.question)
	if err != nil {
		return
	}
	a, err := got.Start(message)
	if err != nil || !a.Response || a.ID != q.ID || a.RCode != dnsmessage.RCodeSuccess {
		return
	}
	wanted, err := asked.Question()
	if err != nil {
		return
	}
	about, err := got.Question()
	if err != nil || about.Type != wanted.Type || about.Class != wanted.Class || !strings.EqualFold(about.Name.String(), wanted.Name.String()) || got.SkipAllQuestions() != nil {
		return
	}
	for {
		h, err := got.AnswerHeader()
		if err != nil {
			return
		}
		if got.SkipAnswer() != nil {
			return
		}
		seconds := h.TTL
		if seconds > math.MaxInt32 {
			seconds = 0 // RFC 2181 §8
		}
		e.ttl.limit(seconds)
	}
}

// datagrams has a message in each packet. It embeds the concrete type: Go's resolver
// looks for a PacketConn.
type datagrams struct {
	*net.UDPConn
	seen exchange
}

// Write implements io.Writer.
func (d *datagrams) Write(p []byte) (int, error) {
	d.seen.question = slices.Clone(p)
	return d.UDPConn.Write(p)
}

// Read implements io.Reader.
func (d *datagrams) Read(p []byte) (int, error) {
	n, err := d.UDPConn.Read(p)
	if err == nil {
		d.seen.answer(p[:n])
	}
	return n, err
}

// stream has messages with their length before them (RFC 1035 §4.2.2). One
// question is asked on a connection.
type stream struct {
	net.Conn
	seen exchange
	have []byte // of the answer
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	if len(p) > 2 {
		s.seen.question = slices.Clone(p[2:])
	}
	return s.Conn.Write(p)
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if len(s.have) < 2+math.MaxUint16 { // More than an answer has.
		s.have = append(s.have, p[:n]...)
	}
	if len(s.have) >= 2 {
		if size := int(binary.BigEndian.Uint16(s.have)); size > 0 && len(s.have) == 2+size {
			s.seen.answer(s.have[2:])
		}
	}
	return n, err
}
