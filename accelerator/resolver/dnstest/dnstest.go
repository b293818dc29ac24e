// Package dnstest is a DNS server for tests, as httptest has one for HTTP: at a real
// port, by UDP and TCP, with answers that may change, be late, or be lies.
package dnstest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Server answers from a table.
type Server struct {
	Addr string // host:port

	mu     sync.Mutex // guards what follows
	lie    func(question []byte, answer []byte) []byte
	rcode  dnsmessage.RCode
	zone   map[string][]dnsmessage.Resource
	asked  map[string]int // questions, by type and name: "A app.test."
	byTCP  int
	silent map[dnsmessage.Type]bool
}

// Start starts a server that has no records.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{zone: map[string][]dnsmessage.Resource{}, asked: map[string]int{}, silent: map[dnsmessage.Type]bool{}}
	var udp net.PacketConn
	var tcp net.Listener
	for range 20 { // The port may be taken by TCP.
		var err error
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			break
		}
		udp.Close()
	}
	if tcp == nil {
		t.Fatal("no port for both")
	}
	s.Addr = udp.LocalAddr().String()
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	go s.datagrams(udp)
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go s.stream(c)
		}
	}()
	return s
}

// Set makes these the records of a name, each in the form of a zone file without its
// name: "60 A 10.0.0.1", "1 AAAA ::1", "5 CNAME b.test", "0 SRV 10 5 8000 a.test".
// None makes it NXDOMAIN.
func (s *Server) Set(name string, records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = strings.TrimSuffix(name, ".") + "."
	delete(s.zone, name)
	for _, r := range records {
		s.zone[name] = append(s.zone[name], parse(name, strings.Fields(r)))
	}
}

// Refuse makes every answer one with this code; 0 ends that.
func (s *Server) Refuse(code dnsmessage.RCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcode = code
}

// Lie passes each answer through a function; what that returns is sent, nil is
// silence. nil ends that.
func (s *Server) Lie(f func(question, answer []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = f
}

// Silence makes questions of a type be unanswered, or answered again.
func (s *Server) Silence(t dnsmessage.Type, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent[t] = on
}

// Asked is how many questions there were about a name and type, as "A app.test".
func (s *Server) Asked(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[strings.TrimSuffix(what, ".")+"."]
}

// ByTCP is how many questions came by TCP.
func (s *Server) ByTCP() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byTCP
}

func (s *Server) datagrams(c net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n], 512); answer != nil {
			c.WriteTo(answer, from)
		}
	}
}

func (s *Server) stream(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		s.mu.Lock()
		s.byTCP++
		s.mu.Unlock()
		answer := s.answer(question, 65535)
		if answer == nil {
			continue
		}
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

// answer makes the answer to a message, cut to most bytes.
func (s *Server) answer(message []byte, most int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil || s.silent[q.Type] {
		return nil
	}
	s.asked[strings.TrimPrefix(q.Type.String(), "Type")+" "+q.Name.String()]++
	out := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionAvailable: true, RCode: s.rcode},
		Questions: []dnsmessage.Question{q},
	}
	if s.rcode == dnsmessage.RCodeSuccess {
		s.find(q, &out)
	}
	b, err := out.Pack()
	if err == nil && len(b) > most {
		out.Answers, out.Truncated = nil, true
		b, err = out.Pack()
	}
	if err != nil {
		return nil
	}
	if s.lie != nil {
		return s.lie(message, b)
	}
	return b
}

// find follows CNAMEs as a recursive server does.
func (s *Server) find(q dnsmessage.Question, out *dnsmessage.Message) {
	name := strings.ToLower(q.Name.String())
	for range 8 {
		records, known := s.zone[name]
		if !known {
			out.RCode = dnsmessage.RCodeNameError
			return
		}
		next := ""
		for _, r := range records {
			if r.Header.Type == q.Type {
				out.Answers = append(out.Answers, r)
			}
			if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok && r.Header.Type != q.Type {
				out.Answers = append(out.Answers, r)
				next = strings.ToLower(c.CNAME.String())
			}
		}
		if next == "" {
			return
		}
		name = next
	}
}

// parse reads a record; a mistake in a test's table is one of the test.
func parse(name string, f []string) dnsmessage.Resource {
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: number(f[0])}}
	full := func(s string) dnsmessage.Name { return dnsmessage.MustNewName(strings.TrimSuffix(s, ".") + ".") }
	switch f[1] {
	case "A":
		r.Header.Type, r.Body = dnsmessage.TypeA, &dnsmessage.AResource{A: netip.MustParseAddr(f[2]).As4()}
	case "AAAA":
		r.Header.Type, r.Body = dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(f[2]).As16()}
	case "CNAME":
		r.Header.Type, r.Body = dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: full(f[2])}
	case "SRV":
		r.Header.Type = dnsmessage.TypeSRV
		r.Body = &dnsmessage.SRVResource{
			Priority: uint16(number(f[2])), Weight: uint16(number(f[3])), Port: uint16(number(f[4])), Target: full(f[5]),
		}
	default:
		panic("dnstest: " + f[1])
	}
	return r
}

func number(s string) uint32 {
	var n uint32
	for _, c := range s {
		n = 10*n + uint32(c-'0')
	}
	return n
}
