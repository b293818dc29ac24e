package backend

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// where sends n keys, each alone, and returns who got each.
func where(t *testing.T, p *Pool, n int) []string {
	t.Helper()
	var got []string
	for i := range n {
		b, err := p.Take(t.Context(), &Choice{Key: Key(fmt.Sprint("client ", i))})
		if err != nil || b == nil {
			t.Fatal(b, err)
		}
		p.Release(b)
		got = append(got, b.URL.Host)
	}
	return got
}

func TestHash(t *testing.T) {
	const n = 10000
	p := mustPool(t, Settings{Balance: Hash}, "http://a", "http://b*2", "http://c")
	first := where(t, p, n)
	count := map[string]float64{}
	for _, host := range first {
		count[host]++
	}
	for host, share := range map[string]float64{"a": 0.25, "b": 0.5, "c": 0.25} {
		if math.Abs(count[host]/n-share) > 0.02 {
			t.Errorf("%s has %v of %d keys, want %v", host, count[host], n, share*n)
		}
	}
	if again := where(t, mustPool(t, Settings{Balance: Hash}, "http://c", "http://b*2", "http://a"), n); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Error("another box with the same farm in another order sends them elsewhere")
	}
	// Who leaves takes his own with him, and brings them back.
	p.Backends()[2].SetHealth(Down, time.Now())
	for i, host := range where(t, p, n) {
		if host == "c" || first[i] != "c" && host != first[i] {
			t.Fatalf("key %d was with %s and goes to %s", i, first[i], host)
		}
	}
	p.Backends()[2].SetHealth(Up, time.Now())
	if again := where(t, p, n); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Error("they do not come back")
	}
	// A fourth takes some from each, and nobody else's move.
	moved := 0
	for i, host := range where(t, mustPool(t, Settings{Balance: Hash}, "http://a", "http://b*2", "http://c", "http://d"), n) {
		if host != first[i] {
			moved++
			if host != "d" {
				t.Fatalf("key %d went from %s to %s", i, first[i], host)
			}
		}
	}
	if math.Abs(float64(moved)/n-0.2) > 0.02 {
		t.Errorf("%d keys of %d moved, want a fifth", moved, n)
	}
}

// One key that everybody has does not drown its backend.
func TestHashIsBounded(t *testing.T) {
	p := mustPool(t, Settings{Balance: Hash}, "http://a", "http://b", "http://c", "http://d")
	for range 400 {
		if _, err := p.Take(t.Context(), &Choice{Key: Key("popular")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range p.Backends() {
		if n := b.InFlight.Load(); n > 126 {
			t.Errorf("%s has %d of 400 requests of one key", b.URL, n)
		}
	}
}

func TestStay(t *testing.T) {
	now := time.Now()
	p := mustPool(t, Settings{Limits: Limits{InFlight: 2}}, "http://a", "http://b", "http://c")
	b := p.Backends()
	take := func(c *Choice) *Backend {
		t.Helper()
		got, err := p.Take(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		p.Release(got)
		return got
	}
	if got := p.ByID(b[1].ID()); got != b[1] || p.ByID("") != nil || p.ByID("x") != nil {
		t.Errorf("by its ID: %v", got)
	}
	for range 50 {
		if got := take(&Choice{Stay: b[1]}); got != b[1] {
			t.Fatalf("sent to %v", got.URL)
		}
	}
	b[1].Drain(true)
	if got := take(&Choice{Stay: b[1]}); got != b[1] {
		t.Error("a drained backend loses its clients")
	}
	if got := take(&Choice{Stay: b[1], Tried: []*Backend{b[1]}}); got == b[1] {
		t.Error("sent again to the one that failed")
	}
	b[1].Maintain()
	if got := take(&Choice{Stay: b[1]}); got == b[1] {
		t.Error("a backend in maintenance keeps its clients")
	}
	b[1].Drain(true)
	if got := take(&Choice{Stay: b[1]}); got != b[1] {
		t.Error("one that is only drained any more loses its clients")
	}
	b[1].SetHealth(Down, now)
	if got := take(&Choice{Stay: b[1]}); got == b[1] {
		t.Error("sent to one that is down")
	}
	b[0].Begin()
	b[0].Begin()
	if got := take(&Choice{Stay: b[0]}); got != b[2] {
		t.Error("sent to one without room")
	}
	stranger := mustPool(t, Settings{}, "http://a").Backends()[0]
	b[0].End()
	b[2].SetHealth(Down, now)
	if got := take(&Choice{Stay: stranger}); got != b[0] {
		t.Errorf("sent to one of another pool")
	}
}

func BenchmarkHash(b *testing.B) {
	p := mustPool(b, Settings{Balance: Hash}, "http://a", "http://b", "http://c")
	c := &Choice{Key: 7}
	b.ReportAllocs()
	for b.Loop() {
		p.next(c)
	}
}
