package backend

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// at are the servers of a name, one for each address; "?" is the name of which
// nothing is known, and behind a slash comes the priority.
func at(name string, addresses ...string) []Server {
	u := &url.URL{Scheme: "http", Host: name}
	var all []Server
	for _, a := range addresses {
		a, second := strings.CutSuffix(a, "/1")
		s := Server{URL: u, Unresolved: a == "?"}
		if second {
			s.Priority = 1
		}
		if !s.Unresolved {
			s.Address = netip.MustParseAddr(a)
		}
		all = append(all, s)
	}
	return all
}

func names(p *Pool) string {
	var all []string
	for _, b := range p.Backends() {
		_, address, err := b.Endpoint()
		if err != nil {
			address = "?"
		}
		all = append(all, b.URL.String()+"="+address)
	}
	return strings.Join(all, " ")
}

// Who stays in a pool keeps all that is known of him, and who leaves ends in peace.
func TestSet(t *testing.T) {
	p, err := NewPool(Settings{Servers: at("app:8000", "?")})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(p); got != "http://app:8000=?" {
		t.Error(got)
	}
	if _, _, err := p.Backends()[0].Endpoint(); !errors.Is(err, ErrUnresolved) {
		t.Error(err)
	}
	set := func(want string, servers ...Server) {
		t.Helper()
		if err := p.Set(servers); err != nil {
			t.Fatal(err)
		}
		if got := names(p); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	set("http://app:8000#10.0.0.1=10.0.0.1:8000 http://app:8000#2001:db8::1=[2001:db8::1]:8000", at("app:8000", "10.0.0.1", "2001:db8::1")...)
	b := p.Backends()
	b[1].Begin()
	b[1].SetHealth(Up, time.Now())
	b[0].Begin()
	set("http://app:8000#10.0.0.3=10.0.0.3:8000 http://app:8000#2001:db8::1=[2001:db8::1]:8000", at("app:8000", "10.0.0.3", "2001:db8::1")...)
	now := p.Backends()
	if now[1] != b[1] || now[1].Health() != Up || now[1].InFlight.Load() != 1 {
		t.Error("the one that stays is another one")
	}
	for range 50 {
		if got := p.Next(); got == b[0] {
			t.Fatal("a request for the one that left")
		}
	}
	if got, err := p.Take(t.Context(), &Choice{Stay: b[0]}); got == b[0] || err != nil {
		t.Error("a client stays with the one that left", err)
	}
	p.Failed(b[0])
	p.Release(b[0]) // Its last request ends.
	if n := b[0].InFlight.Load(); n != 0 {
		t.Errorf("%d in flight", n)
	}
	// What cannot be is refused, and changes nothing.
	for _, servers := range [][]Server{nil, at("app:8000", "10.0.0.9", "10.0.0.9"), {{URL: &url.URL{Scheme: "ftp", Host: "a"}}}} {
		if err := p.Set(servers); err == nil {
			t.Errorf("%v is accepted", servers)
		}
	}
	if p.Backends()[0] != now[0] {
		t.Error("after a mistake the pool is another one")
	}
}

// Of a name without an address nobody expects an answer while there is another.
func TestUnresolved(t *testing.T) {
	p, err := NewPool(Settings{Servers: append(at("app", "?"), at("b", "10.0.0.1")...)})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if b := p.Next(); b != p.Backends()[1] {
			t.Fatal(b.URL)
		}
	}
	if got := p.Explain(0); !strings.HasPrefix(got, "http://app, weight 1: no address is known for its name yet\n") {
		t.Error(got)
	}
}

// The second tier serves while nobody of the first is well, and those that failed
// the request count as such.
func TestPriority(t *testing.T) {
	for _, balance := range []Balance{TwoChoices, LeastConnections, RoundRobin} {
		p, err := NewPool(Settings{Balance: balance, Servers: at("app", "10.0.0.1", "10.0.0.2", "10.0.0.3/1", "10.0.0.4/1")})
		if err != nil {
			t.Fatal(err)
		}
		b := p.Backends()
		seen := func(tried ...*Backend) string {
			got := map[string]bool{}
			for range 100 {
				got[p.Next(tried...).URL.Fragment] = true
			}
			var all []string
			for _, b := range b {
				if a := b.URL.Fragment; got[a] {
					all = append(all, a)
				}
			}
			return strings.Join(all, " ")
		}
		if got := seen(); got != "10.0.0.1 10.0.0.2" {
			t.Error(balance, got)
		}
		if got := seen(b[0], b[1]); got != "10.0.0.3 10.0.0.4" {
			t.Error(balance, "the first two have failed:", got)
		}
		b[0].SetHealth(Down, time.Now())
		if got := seen(); got != "10.0.0.2" {
			t.Error(balance, got)
		}
		b[1].SetHealth(Down, time.Now())
		if got := seen(); got != "10.0.0.3 10.0.0.4" {
			t.Error(balance, "the first two are down:", got)
		}
	}
}

// Requests come and go while the pool changes all the time; none is lost.
func TestSetUnderLoad(t *testing.T) {
	p, err := NewPool(Settings{Balance: RoundRobin, Servers: at("app", "10.0.0.1"), Limits: Limits{InFlight: 8, Queue: 100, QueueTime: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	stays := p.Backends()[0]
	var load sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				b, err := p.Take(t.Context(), &Choice{})
				if b == nil || err != nil {
					t.Error(b, err)
					return
				}
				p.Failed(b)
				p.Release(b)
			}
		})
	}
	for i := range 2000 {
		if err := p.Set(at("app", [][]string{{"10.0.0.1"}, {"10.0.0.2", "10.0.0.1"}, {"10.0.0.1", "10.0.0.3", "10.0.0.4/1"}}[i%3]...)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	load.Wait()
	if err := p.Set(at("app", "10.0.0.1")); err != nil || p.Backends()[0] != stays || stays.InFlight.Load() != 0 {
		t.Error(err, stays.InFlight.Load())
	}
}
