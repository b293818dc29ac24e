package backend

import (
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func mustPool(t testing.TB, s Settings, addresses ...string) *Pool {
	t.Helper()
	p, err := newPool(s, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newPool takes addresses with a weight behind them: "http://a*3".
func newPool(s Settings, addresses ...string) (*Pool, error) {
	for _, a := range addresses {
		address, weight, _ := strings.Cut(a, "*")
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		n, _ := strconv.Atoi(weight)
		s.Servers = append(s.Servers, Server{URL: u, Weight: n})
	}
	return NewPool(s)
}

func TestNewPool(t *testing.T) {
	for _, c := range []struct{ addresses, wrong string }{
		{"", "at least one"},
		{"htp://a", `scheme "htp"`},
		{"a:80", `scheme "a"`},
		{"//a", `scheme ""`},
		{"http://", "no host"},
		{"http://:80", "no host"},
		{"http://a/b", "has a path"},
		{"http://a/?", "more than"},
		{"http://a?q", "more than"},
		{"http://a#f", "more than"},
		{"http://u:secret@a", "more than"},
		{"http://a http://b http://a/", "backend 2: http://a is in the pool"},
		{"unix://a/b", "no absolute path"},
		{"unix:a", "no absolute path"},
		{"unix:///a?q", "more than"},
		{"unix:///a unix:///a", "is in the pool"},
		{"unix:///a/b.sock unix:///a/c.sock http://a", ""},
		{"http://a*1001", "weight 1001 is not"},
		{"http://a*-1", "weight -1 is not"},
		{"http://a", ""},
		{"http://a/", ""},
		{"http://a:80 https://a https://[::1]:8443", ""},
	} {
		p, err := newPool(Settings{}, strings.Fields(c.addresses)...)
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%q: %v", c.addresses, err)
		case c.wrong == "" && len(p.Backends()) != len(strings.Fields(c.addresses)):
			t.Errorf("%q: %d backends", c.addresses, len(p.Backends()))
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%q: %v, want %q", c.addresses, err, c.wrong)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%q: the error tells the password: %v", c.addresses, err)
		}
	}
}

func TestNextLeavesOutTheTried(t *testing.T) {
	for _, balance := range []Balance{TwoChoices, LeastConnections, RoundRobin} {
		p := mustPool(t, Settings{Balance: balance}, "http://a", "http://b", "http://c")
		for range 20 {
			tried := map[*Backend]bool{}
			for b := p.Next(); b != nil; b = p.Next(slices.Collect(maps.Keys(tried))...) {
				if tried[b] {
					t.Fatal("a backend was tried twice")
				}
				tried[b] = true
			}
			if len(tried) != 3 {
				t.Errorf("one request tried %d of 3", len(tried))
			}
		}
	}
}

// shares returns how many of n requests each backend gets, all of them ended at
// once, or none at all if they stay.
func shares(p *Pool, n int, stay bool) map[string]int {
	got := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range n / 8 {
				b := p.Next()
				b.Begin()
				if !stay {
					b.End()
				}
				mu.Lock()
				got[b.URL.Host]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}

func TestShares(t *testing.T) {
	const n = 24000
	for _, c := range []struct {
		balance Balance
		stay    bool
		off     float64 // from the exact share
	}{
		{RoundRobin, false, 0}, {RoundRobin, true, 0},
		{LeastConnections, true, 0.01},
		{TwoChoices, true, 0.01},
	} {
		for addresses, want := range map[string]map[string]float64{
			"http://a http://b http://c":     {"a": 1. / 3, "b": 1. / 3, "c": 1. / 3},
			"http://a*2 http://b http://c*3": {"a": 2. / 6, "b": 1. / 6, "c": 3. / 6},
		} {
			p := mustPool(t, Settings{Balance: c.balance}, strings.Fields(addresses)...)
			got := shares(p, n, c.stay)
			for host, share := range want {
				if d := math.Abs(float64(got[host])/n - share); d > c.off {
					t.Errorf("balance %d, %s: %v", c.balance, addresses, got)
					break
				}
			}
		}
	}
	// Nobody is busy: chance alone decides, and nobody gets all.
	for _, balance := range []Balance{LeastConnections, TwoChoices} {
		p := mustPool(t, Settings{Balance: balance}, "http://a", "http://b", "http://c")
		for host, got := range shares(p, n, false) {
			if math.Abs(float64(got)/n-1./3) > 0.1 {
				t.Errorf("balance %d, idle: %s got %d of %d", balance, host, got, n)
			}
		}
	}
}

// A backend that fails each request does not push them all onto one neighbour.
func TestTurnsOfTheOthers(t *testing.T) {
	p := mustPool(t, Settings{Balance: RoundRobin}, "http://a", "http://b", "http://c")
	dead, got := p.Backends()[0], map[string]int{}
	for range 300 {
		b := p.Next()
		if b == dead {
			b = p.Next(dead)
		}
		got[b.URL.Host]++
	}
	if got["b"] != 150 || got["c"] != 150 {
		t.Errorf("of 300 requests, %v", got)
	}
}

// Round robin does not give all of a heavy one's turns in a row.
func TestSmooth(t *testing.T) {
	p := mustPool(t, Settings{Balance: RoundRobin}, "http://a*5", "http://b", "http://c")
	got := ""
	for range 7 {
		got += p.Next().URL.Host
	}
	if got != "aabacaa" {
		t.Errorf("the turns are %s, want aabacaa", got)
	}
}

// Who is down or ejected gets nothing, unless all are.
func TestNextAndHealth(t *testing.T) {
	for _, balance := range []Balance{TwoChoices, LeastConnections, RoundRobin} {
		p := mustPool(t, Settings{Balance: balance}, "http://a", "http://b", "http://c")
		b := p.Backends()
		b[0].SetHealth(Down, time.Now())
		b[1].SetHealth(Up, time.Now())
		got := shares(p, 800, false)
		if got["a"] != 0 || got["b"] == 0 || got["c"] == 0 {
			t.Errorf("a is down, c unchecked: %v", got)
		}
		if p.Next(b[1], b[2]) != nil {
			t.Error("a backend that is down was tried though others are well")
		}
		b[1].SetHealth(Down, time.Now())
		b[2].SetHealth(Down, time.Now())
		if got := shares(p, 800, false); len(got) != 3 {
			t.Errorf("all are down: %v", got)
		}
		if before := b[0].SetHealth(Up, time.Now()); before != Down {
			t.Errorf("before, it was %v", before)
		}
		if got := shares(p, 80, false); got["a"] != 80 {
			t.Errorf("a alone is up: %v", got)
		}
	}
}

func TestEjection(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := mustPool(t, Settings{
		Ejection: Ejection{Failures: 3, Time: 10 * time.Second, Most: 50}, Now: func() time.Time { return now },
	}, "http://a", "http://b", "http://c", "http://d")
	b := p.Backends()
	fail := func(b *Backend, times int) (ejected bool) {
		for range times {
			ejected = p.Failed(b)
		}
		return ejected
	}
	if fail(b[0], 2) {
		t.Error("two failures eject")
	}
	b[0].Served()
	if fail(b[0], 2) {
		t.Error("failures count that were not in a row")
	}
	for nth, want := range []time.Duration{10, 20, 30} {
		b[0].Served()
		if !fail(b[0], 3) {
			t.Fatalf("three failures do not eject, the %d. time", nth+1)
		}
		if p.Failed(b[0]) {
			t.Error("a failure ejects one that is out")
		}
		until, is := b[0].Ejected(now)
		if d := until.Sub(now); !is || d != want*time.Second {
			t.Errorf("ejected %v for %v, want %v", is, d, want*time.Second)
		}
		if got := shares(p, 80, false); got["a"] != 0 {
			t.Errorf("who is ejected gets requests: %v", got)
		}
		now = until
		if _, is := b[0].Ejected(now); is {
			t.Error("ejected for longer than said")
		}
		if got := shares(p, 800, false); got["a"] == 0 {
			t.Errorf("who was ejected gets no requests: %v", got)
		}
	}
	now = now.Add(101 * time.Second)
	b[0].Served()
	fail(b[0], 3)
	if until, _ := b[0].Ejected(now); until.Sub(now) != 10*time.Second {
		t.Errorf("after a long good time it is ejected for %v", until.Sub(now))
	}
	if !fail(b[1], 3) {
		t.Error("a second of four is not ejected")
	}
	if fail(b[2], 30) {
		t.Error("a third of four is ejected")
	}
	if n := b[0].Ejections.Load(); n != 4 {
		t.Errorf("%d ejections counted", n)
	}
	only := mustPool(t, Settings{Ejection: Ejection{Failures: 1, Time: time.Second, Most: 100}}, "http://a")
	if only.Failed(only.Backends()[0]) {
		t.Error("the only backend is ejected")
	}
}

// Who is drained gets nothing, whatever becomes of the others.
func TestDrain(t *testing.T) {
	p := mustPool(t, Settings{}, "http://a", "http://b")
	b := p.Backends()
	b[0].Drain(true)
	if got := shares(p, 80, false); got["b"] != 80 {
		t.Errorf("%v", got)
	}
	b[1].SetHealth(Down, time.Now())
	if got := shares(p, 80, false); got["b"] != 80 {
		t.Errorf("the other is down: %v", got)
	}
	if got := p.Explain(0); got != "http://a, weight 1: drained\nhttp://b, weight 1: down, say its health checks; so are all, and it gets it\n" {
		t.Error(got)
	}
	b[1].Drain(true)
	if got := p.Next(); got != nil {
		t.Errorf("all are drained: %v", got.URL)
	}
	b[0].Drain(false)
	if got := shares(p, 80, false); got["a"] != 80 {
		t.Errorf("%v", got)
	}
}

// A backend that comes back gets its share bit by bit.
func TestSlowStart(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, balance := range []Balance{TwoChoices, LeastConnections, RoundRobin} {
		p := mustPool(t, Settings{
			Balance: balance, SlowStart: 100 * time.Second, Now: func() time.Time { return now },
			Ejection: Ejection{Failures: 1, Time: time.Second, Most: 50},
		}, "http://a", "http://b")
		b := p.Backends()
		b[0].SetHealth(Up, now)
		b[1].SetHealth(Up, now)
		// Nobody who was never away is slow.
		want := func(share float64) {
			t.Helper()
			got := shares(p, 8000, true)
			if d := math.Abs(float64(got["a"])/8000 - share); d > 0.02 {
				t.Errorf("balance %d: %.3f of all, want %.3f", balance, float64(got["a"])/8000, share)
			}
			for _, b := range p.Backends() { // They end.
				b.InFlight.Store(0)
			}
		}
		want(0.5)
		b[0].SetHealth(Down, now)
		b[0].SetHealth(Up, now)
		now = now.Add(25 * time.Second)
		want(0.2)
		p.settings.Limits.InFlight = 40
		if a, b := p.most(b[0]), p.most(b[1]); a != 10 || b != 40 {
			t.Errorf("balance %d: it may have %d requests at a time, the other %d; want 10, 40", balance, a, b)
		}
		p.settings.Limits.InFlight = 0
		now = now.Add(25 * time.Second)
		want(1. / 3)
		now = now.Add(50 * time.Second)
		want(0.5)
		p.Failed(b[0])
		now = now.Add(51 * time.Second)
		want(1. / 3)
	}
}

func TestExplain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := mustPool(t, Settings{
		SlowStart: 100 * time.Second, Ejection: Ejection{Failures: 1, Time: time.Minute, Most: 50}, Now: func() time.Time { return now },
	}, "http://a*3", "http://b", "http://c", "http://d")
	b := p.Backends()
	b[1].SetHealth(Down, now)
	p.Failed(b[2])
	b[3].SetHealth(Down, now)
	b[3].SetHealth(Up, now.Add(-40*time.Second))
	want := `http://a, weight 3: gets 88% of such
http://b, weight 1: down, say its health checks
http://c, weight 1, of which 1% just now: failed too often, left out until 2026-01-02T03:05:05Z
http://d, weight 1, of which 40% just now: gets 12% of such
`
	if got := p.Explain(0); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	b[0].SetHealth(Down, now)
	b[3].SetHealth(Down, now)
	if got := p.Explain(0); !strings.HasPrefix(got, "http://a, weight 3: down, say its health checks; so are all, and it gets 50% of such\n") {
		t.Errorf("all are out:\n%s", got)
	}
}

// Whom a key belongs to is said as it is done, and priorities are heeded.
func TestExplainChoice(t *testing.T) {
	p := mustPool(t, Settings{Balance: Hash}, "http://a", "http://b*3", "http://c")
	for key := uint64(1); key < 50; key++ {
		b, err := p.Take(t.Context(), &Choice{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		p.Release(b)
		for line := range strings.Lines(p.Explain(key)) {
			if its := strings.HasPrefix(line, b.String()+","); its != strings.Contains(line, ": gets it, by its hash") {
				t.Errorf("key %d went to %s: %s", key, b, line)
			}
		}
	}
	first, err := NewPool(Settings{Servers: []Server{{URL: at("a", "10.0.0.1")[0].URL, Priority: 1}, {URL: at("b", "10.0.0.2")[0].URL}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "http://a, weight 1: gets it when none of a lower priority is well\nhttp://b, weight 1: gets it\n"
	if got := first.Explain(0); got != want {
		t.Error(got)
	}
}

func TestInherit(t *testing.T) {
	old := mustPool(t, Settings{}, "http://a", "http://b")
	old.Backends()[1].Begin()
	old.Backends()[1].SetHealth(Down, time.Now())
	p := mustPool(t, Settings{}, "http://c", "http://b*7")
	p.Inherit(old)
	b := p.Backends()
	if b[1] != old.Backends()[1] || b[1].InFlight.Load() != 1 || p.Weight(b[1]) != 7 || p.Next() != b[0] {
		t.Errorf("the backend that stays is another one: %v", b[1])
	}
	if b[0].URL.Host != "c" || p.Weight(b[0]) != 1 || p.Weight(old.Backends()[0]) != 0 {
		t.Error("the new one is not new")
	}
}

// A share of the requests may be sent again; what is not used is saved, not for
// ever.
func TestRetryBudget(t *testing.T) {
	retries := func(p *Pool) (n int) {
		for p.Retry() {
			n++
		}
		return n
	}
	requests := func(p *Pool, n int) {
		for range n {
			p.Next()
		}
	}
	p := mustPool(t, Settings{RetryShare: 20}, "http://a", "http://b")
	if n := retries(p); n != 10 {
		t.Errorf("%d at the start, want 10", n)
	}
	requests(p, 100)
	if n := retries(p); n != 20 {
		t.Errorf("%d of 100, want 20", n)
	}
	requests(p, 100_000)
	if n := retries(p); n != 200 {
		t.Errorf("%d saved, want 200", n)
	}
	none := mustPool(t, Settings{}, "http://a", "http://b")
	requests(none, 1000)
	if n := retries(none); n != 0 {
		t.Errorf("%d of a share of 0", n)
	}
}

func BenchmarkNext(b *testing.B) {
	for name, balance := range map[string]Balance{"two": TwoChoices, "least": LeastConnections, "turn": RoundRobin} {
		b.Run(name, func(b *testing.B) {
			p := mustPool(b, Settings{Balance: balance}, "http://a", "http://b", "http://c")
			b.ReportAllocs()
			for b.Loop() {
				p.Next()
			}
		})
	}
}
