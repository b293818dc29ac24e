package accesslog

import (
	"bytes"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var discard = slog.New(slog.DiscardHandler)

// ringOf returns a ring that no writer empties.
func ringOf(size int) (*Ring, *memory) {
	r := New(Options{Format: Combined, RingBytes: size}, discard).NewRing()
	return r, r.memory.Load()
}

// take reads and removes the first entry.
func (m *memory) take() *Record {
	entry, behind := m.next(m.tail.Load(), m.head.Load())
	if entry == nil {
		return nil
	}
	var view Record
	getEntry(entry, &view)
	for _, text := range []*[]byte{&view.Method, &view.Target, &view.Protocol, &view.Host, &view.Referer, &view.UserAgent} {
		*text = bytes.Clone(*text)
	}
	m.tail.Store(behind)
	return &view
}

// equal compares all that is logged.
func equal(a, b *Record) bool {
	return a.Time == b.Time && a.Duration == b.Duration && a.Remote == b.Remote && a.Status == b.Status && a.Bytes == b.Bytes &&
		bytes.Equal(a.Method, b.Method) && bytes.Equal(a.Target, b.Target) && bytes.Equal(a.Protocol, b.Protocol) &&
		bytes.Equal(a.Host, b.Host) && bytes.Equal(a.Referer, b.Referer) && bytes.Equal(a.UserAgent, b.UserAgent) &&
		bytes.Equal(a.Forward.Backend, b.Forward.Backend) && bytes.Equal(a.Forward.Event, b.Forward.Event) &&
		a.Forward.Connect == b.Forward.Connect && a.Forward.FirstByte == b.Forward.FirstByte &&
		a.Forward.Duration == b.Forward.Duration && a.Forward.Retries == b.Forward.Retries
}

func TestRingKeepsRecords(t *testing.T) {
	long := []byte(strings.Repeat("x", 70000))
	for name, c := range map[string]struct{ in, want *Record }{
		"usual":  {usual(), usual()},
		"empty":  {&Record{}, &Record{}},
		"v6":     {&Record{Remote: netip.MustParseAddr("2001:db8::1")}, &Record{Remote: netip.MustParseAddr("2001:db8::1")}},
		"mapped": {&Record{Remote: netip.MustParseAddr("::ffff:192.0.2.1")}, &Record{Remote: netip.MustParseAddr("192.0.2.1")}},
		"zone":   {&Record{Remote: netip.MustParseAddr("fe80::1%eth0")}, &Record{Remote: netip.MustParseAddr("fe80::1")}},
		"forwarded": {
			&Record{Host: []byte("h"), Forward: Forward{Backend: []byte("b"), Connect: 1, FirstByte: 1 << 60, Duration: 3, Retries: 1 << 20}},
			&Record{Host: []byte("h"), Forward: Forward{Backend: []byte("b"), Connect: 1, FirstByte: 1 << 60, Duration: 3, Retries: math.MaxUint16}},
		},
		"not forwarded": {&Record{Forward: Forward{Event: []byte("e")}}, &Record{Forward: Forward{Event: []byte("e")}}},
		"long": {
			&Record{Bytes: 1 << 60, Method: long, Target: long, Protocol: long, Host: long, Referer: long, UserAgent: long, Forward: Forward{Backend: long, Event: long}},
			&Record{
				Bytes: 1 << 60, Method: long[:MaxMethod], Target: long[:MaxTarget], Protocol: long[:MaxProtocol],
				Host: long[:MaxHost], Referer: long[:MaxField], UserAgent: long[:MaxField],
				Forward: Forward{Backend: long[:MaxBackend], Event: long[:MaxEvent]},
			},
		},
	} {
		r, m := ringOf(64 << 10)
		if !r.Append(c.in) {
			t.Errorf("%s: not taken", name)
			continue
		}
		if got := m.take(); !equal(got, c.want) {
			t.Errorf("%s: %+v became %+v", name, c.in, got)
		}
	}
	if n := entryLen(&Record{Method: long, Target: long, Protocol: long, Host: long, Referer: long, UserAgent: long, Forward: Forward{Backend: long, Event: long}}); n > maxEntry {
		t.Errorf("an entry of %d bytes", n)
	}
}

// A full ring drops and counts, and goes on when there is room.
func TestRingFull(t *testing.T) {
	r, m := ringOf(16 << 10)
	taken := 0
	for r.Append(usual()) {
		taken++
	}
	if want := 16 << 10 / entryLen(usual()); taken != want {
		t.Errorf("%d records fit, %d expected", taken, want)
	}
	r.Append(usual())
	if got := r.dropped.Load(); got != 2 {
		t.Errorf("%d dropped", got)
	}
	m.take()
	m.take()
	if !r.Append(usual()) {
		t.Error("not taken although there is room")
	}
}

// Off: no memory, nothing taken, nothing counted.
func TestRingOff(t *testing.T) {
	r := New(Options{}, discard).NewRing()
	var none *Ring
	var noneShared *Shared
	if r.On() || none.On() || noneShared.On() || r.Append(usual()) || r.memory.Load() != nil || r.dropped.Load() != 0 {
		t.Error("a ring that is off takes records")
	}
}

// Records of all lengths, across every place of the end of the ring.
func TestRingWraps(t *testing.T) {
	r, m := ringOf(16 << 10)
	random := rand.New(rand.NewPCG(1, 2))
	var sent []*Record
	for i := range 20_000 {
		if random.IntN(2) == 0 {
			rec := &Record{Time: int64(i), Target: bytes.Repeat([]byte{byte(i)}, random.IntN(MaxTarget)), Referer: []byte("r")}
			if r.Append(rec) {
				sent = append(sent, rec)
			}
			continue
		}
		got := m.take()
		if got == nil != (len(sent) == 0) {
			t.Fatalf("%d are in the ring, and %v came", len(sent), got)
		}
		if got != nil {
			if !equal(got, sent[0]) {
				t.Fatalf("%d: %+v became %+v", i, sent[0], got)
			}
			sent = sent[1:]
		}
	}
}

// One goroutine appends, another takes: for the race detector.
func TestRingConcurrent(t *testing.T) {
	const records = 10_000
	r, m := ringOf(16 << 10)
	var group sync.WaitGroup
	group.Go(func() {
		for i := range records {
			rec := usual()
			rec.Time = int64(i)
			for !r.Append(rec) {
				time.Sleep(time.Microsecond)
			}
		}
	})
	want := usual()
	for i := range records {
		got := m.take()
		for got == nil {
			runtime.Gosched()
			got = m.take()
		}
		if want.Time = int64(i); !equal(got, want) {
			t.Fatalf("%d: %+v", i, got)
		}
	}
	group.Wait()
}

// An empty ring with the place in its middle takes the largest record.
func TestRingTakesTheLargest(t *testing.T) {
	for at := uint64(0); at < 16<<10; at += 56 {
		r, m := ringOf(16 << 10)
		m.at, m.tailSeen = at, at
		m.head.Store(at)
		m.tail.Store(at)
		long := bytes.Repeat([]byte("x"), MaxTarget)
		if !r.Append(&Record{Target: long, Host: long, Referer: long, UserAgent: long, Method: long, Protocol: long}) {
			t.Fatalf("not taken at %d", at)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	r, m := ringOf(DefaultRingBytes)
	rec := usual()
	if n := testing.AllocsPerRun(10_000, func() {
		r.Append(rec)
		m.tail.Store(m.head.Load())
	}); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
	for r.Append(rec) {
	}
	if n := testing.AllocsPerRun(100, func() { r.Append(rec) }); n != 0 {
		t.Errorf("Append to a full ring allocates %v times", n)
	}
}

func TestFormattingDoesNotAllocate(t *testing.T) {
	var f formatter
	rec, buf := usual(), make([]byte, 0, 1<<10)
	for format := Common; format <= JSON; format++ {
		if n := testing.AllocsPerRun(100, func() { buf = Formats[format].append(&f, buf[:0], rec) }); n != 0 {
			t.Errorf("%s allocates %v times", format, n)
		}
	}
}
