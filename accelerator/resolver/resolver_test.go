package resolver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"ramjet/accelerator/resolver/dnstest"
)

// brief is the text of targets, for comparisons.
func brief(targets []Target) string { return strings.Join(addresses(targets), "; ") }

func TestAsk(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("one.test", "60 A 10.0.0.1")
	s.Set("both.test", "60 A 10.0.0.2", "30 A 10.0.0.1", "300 AAAA 2001:db8::1")
	s.Set("alias.test", "600 CNAME hop.test")
	s.Set("hop.test", "7 CNAME one.test")
	s.Set("zero.test", "0 A 10.0.0.1")
	s.Set("negative.test", "4294967295 A 10.0.0.1")
	s.Set("empty.test", "60 CNAME nothing.test")
	s.Set("nothing.test", "60 SRV 0 0 80 a.test")
	s.Set("unusable.test", "60 A 0.0.0.0", "60 A 224.0.0.1", "60 A 255.255.255.255", "60 AAAA ::", "60 AAAA ff02::1")
	s.Set("half.test", "60 A 0.0.0.0", "60 A 10.0.0.1")
	s.Set("mapped.test", "60 AAAA ::ffff:10.0.0.1", "60 A 10.0.0.1")
	s.Set("loop.test", "60 CNAME loop.test")
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("60 A 10.0.%d.%d", i/256, i%256))
	}
	s.Set("many.test", many...)
	s.Set("_web._tcp.test", "40 SRV 20 0 8003 both.test", "50 SRV 10 3 8001 one.test", "60 SRV 10 1 8002 ONE.test", "60 SRV 10 1 8002 gone.test",
		"60 SRV 10 9 8001 one.test")
	s.Set("_no._tcp.test", "60 SRV 0 0 0 one.test")
	s.Set("_gone._tcp.test", "60 SRV 0 0 80 gone.test")
	r := &Resolver{Server: s.Addr, Timeout: 10 * time.Second}
	for _, c := range []struct {
		name, family, want string
		ttl                time.Duration
		wrong              string
	}{
		{"one.test", Any, "10.0.0.1", 60, ""},
		{"ONE.test", Any, "10.0.0.1", 60, ""},
		{"both.test", Any, "10.0.0.1; 10.0.0.2; 2001:db8::1", 30, ""},
		{"both.test", IPv6, "2001:db8::1", 300, ""},
		{"both.test", IPv4, "10.0.0.1; 10.0.0.2", 30, ""},
		{"alias.test", Any, "10.0.0.1", 7, ""},
		{"zero.test", Any, "10.0.0.1", 0, ""},
		{"negative.test", Any, "10.0.0.1", 0, ""},
		{"half.test", Any, "10.0.0.1", 60, ""},
		{"mapped.test", Any, "10.0.0.1", 60, ""},
		{"gone.test", Any, "", 0, "no such host"},
		{"empty.test", Any, "", 0, "no such host"},
		{"one.test", IPv6, "", 0, "no such host"},
		{"loop.test", Any, "", 0, "no such host"},
		{"unusable.test", Any, "", 0, "no usable address"},
		{"SRV _web._tcp.test", Any, "one.test:8001 at 10.0.0.1, priority 10, weight 9; one.test:8002 at 10.0.0.1, priority 10, weight 1; " +
			"both.test:8003 at 10.0.0.1, priority 20, weight 0; both.test:8003 at 10.0.0.2, priority 20, weight 0; " +
			"both.test:8003 at 2001:db8::1, priority 20, weight 0", 30, ""},
		{"SRV _no._tcp.test", Any, "", 0, "no usable address"},
		{"SRV _gone._tcp.test", Any, "", 0, "no such host"},
		{"SRV one.test", Any, "", 0, "no such host"},
	} {
		host, srv := strings.CutPrefix(c.name, "SRV ")
		r.Family = c.family
		got, ttl, err := r.ask(t.Context(), Name{host, srv}, nil)
		if brief(got) != c.want || ttl != c.ttl*time.Second || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s, %s: %s for %v, %v", c.name, c.family, brief(got), ttl, err)
		}
	}
	r.Family = Any
	got, ttl, err := r.ask(t.Context(), Name{Host: "many.test"}, nil)
	if len(got) != maxTargets || ttl != time.Minute || err != nil || s.ByTCP() == 0 {
		t.Errorf("many: %d for %v, %v, %d times by TCP", len(got), ttl, err, s.ByTCP())
	}
	if again, _, _ := r.ask(t.Context(), Name{Host: "many.test"}, nil); !slices.Equal(got, again) {
		t.Error("of too many it is not always the same that are taken")
	}
}

// The hosts file comes first, and its answers are good for a while.
func TestHostsFile(t *testing.T) {
	s := dnstest.Start(t)
	got, ttl, err := (&Resolver{Server: s.Addr}).ask(t.Context(), Name{Host: "localhost"}, nil)
	if !strings.Contains(brief(got), "127.0.0.1") || ttl != unspoken || err != nil {
		t.Errorf("%s for %v, %v", brief(got), ttl, err)
	}
}

// Whatever a server says, an answer is right or there is none; and it comes in time.
func TestLies(t *testing.T) {
	another := func(answer []byte, change func(*dnsmessage.Message)) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			t.Error(err)
		}
		change(&m)
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return b
	}
	for name, lie := range map[string]func(question, answer []byte) []byte{
		"silence":          func(_, _ []byte) []byte { return nil },
		"garbage":          func(_, _ []byte) []byte { return []byte("HTTP/1.1 200 OK\r\n\r\n") },
		"an empty packet":  func(_, _ []byte) []byte { return []byte{} },
		"the question":     func(q, _ []byte) []byte { return q },
		"half an answer":   func(_, a []byte) []byte { return a[:len(a)-6] },
		"no question":      func(_, a []byte) []byte { return another(a, func(m *dnsmessage.Message) { m.Questions = nil }) },
		"another's answer": func(_, a []byte) []byte { return another(a, func(m *dnsmessage.Message) { m.ID++ }) },
		"another question": func(_, a []byte) []byte {
			return another(a, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("evil.test.") })
		},
		"not recursive": func(_, a []byte) []byte {
			return another(a, func(m *dnsmessage.Message) { m.RecursionAvailable, m.Answers = false, nil })
		},
		"truncated for ever": func(_, a []byte) []byte {
			return another(a, func(m *dnsmessage.Message) { m.Truncated, m.Answers = true, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.Start(t)
			s.Set("app.test", "60 A 10.0.0.1")
			s.Lie(lie)
			r := &Resolver{Server: s.Addr, Timeout: 200 * time.Millisecond}
			last := []Target{{Addr: netip.MustParseAddr("10.0.0.9")}}
			for _, n := range []Name{{Host: "app.test"}, {Host: "app.test", SRV: true}} {
				began := time.Now()
				got, _, err := r.ask(t.Context(), n, last)
				if err == nil || len(got) > 0 {
					t.Errorf("%s", brief(got))
				}
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("after %v: %v", d, err)
				}
			}
		})
	}
	for _, code := range []dnsmessage.RCode{dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused, dnsmessage.RCodeFormatError, 15} {
		s := dnstest.Start(t)
		s.Set("app.test", "60 A 10.0.0.1")
		s.Refuse(code)
		if got, _, err := (&Resolver{Server: s.Addr, Timeout: 5 * time.Second}).ask(t.Context(), Name{Host: "app.test"}, nil); err == nil {
			t.Errorf("%v: %s", code, brief(got))
		}
	}
	// A forged datagram before the right one changes nothing, not even the time.
	s := dnstest.Start(t)
	s.Set("app.test", "60 A 10.0.0.1")
	var e exchange
	e.ttl = &lifetime{}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 1}, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName("app.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
	}}}
	e.question, _ = m.Pack()
	m.Header, m.Answers = dnsmessage.Header{ID: 2, Response: true}, []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 5}, Body: &dnsmessage.AResource{},
	}}
	forged, _ := m.Pack()
	e.answer(forged)
	if e.ttl.known {
		t.Error("the time of a forged answer counts")
	}
	m.ID = 1
	right, _ := m.Pack()
	if e.answer(right); e.ttl.get() != 5*time.Second {
		t.Error("the time of the right answer does not count")
	}
}

// When only one kind of address is answered for, the other keeps what it had.
func TestHalfAnAnswer(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("app.test", "60 A 10.0.0.1", "60 AAAA 2001:db8::1")
	r := &Resolver{Server: s.Addr, Timeout: 500 * time.Millisecond}
	got, _, err := r.ask(t.Context(), Name{Host: "app.test"}, nil)
	if brief(got) != "10.0.0.1; 2001:db8::1" || err != nil {
		t.Fatal(brief(got), err)
	}
	s.Silence(dnsmessage.TypeAAAA, true)
	s.Set("app.test", "60 A 10.0.0.2", "60 AAAA 2001:db8::1")
	got, ttl, err := r.ask(t.Context(), Name{Host: "app.test"}, got)
	if brief(got) != "10.0.0.2; 2001:db8::1" || ttl != 0 || err != nil {
		t.Error(brief(got), ttl, err)
	}
	// It is another matter if the answer is that there is none.
	s.Silence(dnsmessage.TypeAAAA, false)
	s.Set("app.test", "60 A 10.0.0.2")
	got, ttl, err = r.ask(t.Context(), Name{Host: "app.test"}, got)
	if brief(got) != "10.0.0.2" || ttl != time.Minute || err != nil {
		t.Error(brief(got), ttl, err)
	}
	// The same for one of the servers of a service.
	s.Set("_web._tcp.test", "60 SRV 1 1 80 app.test", "60 SRV 1 1 80 six.test")
	s.Set("six.test", "60 AAAA 2001:db8::6")
	service := Name{"_web._tcp.test", true}
	got, _, err = r.ask(t.Context(), service, nil)
	if len(got) != 2 || err != nil {
		t.Fatal(brief(got), err)
	}
	s.Silence(dnsmessage.TypeAAAA, true)
	if again, _, err := r.ask(t.Context(), service, got); !slices.Equal(got, again) || err != nil {
		t.Error(brief(again), err)
	}
}

// Whatever comes as an answer, reading its time along does no harm.
func FuzzAnswer(f *testing.F) {
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("a.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	question, _ := m.Pack()
	m.Response = true
	m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 9}, Body: &dnsmessage.AResource{}}}
	answer, _ := m.Pack()
	f.Add(question, answer)
	f.Add(answer, question)
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, question, answer []byte) {
		e := exchange{ttl: &lifetime{}, question: question}
		e.answer(answer)
		if d := e.ttl.get(); d < 0 || d > 1<<31*time.Second {
			t.Error(d)
		}
	})
}
