package accesslog

import (
	"encoding/binary"
	"sync/atomic"
)

// Ring takes the records of one goroutine. Make it with Log.NewRing.
//
// Append costs the copying of the record: no lock, no allocation, no system
// call. When the ring is half full while the writer sleeps, it wakes the writer,
// once for each sleep, by a send on a channel that does not block.
//
// While the log is off a Ring has no memory, and Append does nothing.
type Ring struct {
	log     *Log
	memory  atomic.Pointer[memory] // nil: the log is off
	dropped atomic.Uint64
}

// memory is the memory of a ring and the two places in it: bytes from tail to
// head are entries that the writer has not read. Both only grow; modulo the size,
// a power of two, they are places.
type memory struct {
	data []byte

	_ [64]byte // What two cores write lies in different cache lines.

	// Owned by the producer.
	at       uint64 // head, not yet published
	tailSeen uint64 // tail, as it was when last looked at

	head atomic.Uint64 // written by the producer, read by the writer
	_    [64]byte
	tail atomic.Uint64 // written by the writer, read by the producer
	_    [64]byte
}

func newMemory(size int) *memory { return &memory{data: make([]byte, size)} }

// On reports whether records are wanted: whether it is worth the while to put
// one together. A nil Ring wants none.
func (r *Ring) On() bool { return r != nil && r.memory.Load() != nil }

// Append adds a record. It returns false if the log is off, or if the ring is
// full: then the record is dropped and counted. It is called by one goroutine at
// a time; it never blocks.
func (r *Ring) Append(rec *Record) bool {
	m := r.memory.Load()
	if m == nil {
		return false
	}
	d := m.reserve(entryLen(rec))
	if d == nil {
		r.dropped.Add(1)
		return false
	}
	putEntry(d, rec)
	m.head.Store(m.at)
	if m.at-m.tailSeen > uint64(len(m.data)/2) {
		if m.tailSeen = m.tail.Load(); m.at-m.tailSeen > uint64(len(m.data)/2) {
			r.log.wake()
		}
	}
	return true
}

// reserve returns the place of the next n bytes, n a multiple of 8, all in one
// piece, and moves at behind it. Nil means that there is none.
func (m *memory) reserve(n int) []byte {
	index := int(m.at) & (len(m.data) - 1)
	need, rest := n, len(m.data)-index
	if n > rest { // Skip the rest, begin at the beginning.
		need += rest
	}
	if size := uint64(len(m.data)); m.at+uint64(need)-m.tailSeen > size {
		if m.tailSeen = m.tail.Load(); m.at+uint64(need)-m.tailSeen > size {
			return nil
		}
	}
	if n > rest {
		binary.LittleEndian.PutUint32(m.data[index:], 0)
		index = 0
	}
	m.at += uint64(need)
	return m.data[index : index+n : index+n]
}

// next returns the first entry between tail and head, and the tail behind it; nil
// if there is none.
func (m *memory) next(tail, head uint64) (entry []byte, behind uint64) {
	for tail != head {
		index := int(tail) & (len(m.data) - 1)
		n := int(binary.LittleEndian.Uint32(m.data[index:]))
		if n > 0 {
			return m.data[index : index+n : index+n], tail + uint64(n)
		}
		tail += uint64(len(m.data) - index)
	}
	return nil, tail
}

// used returns how many bytes wait for the writer.
func (m *memory) used() uint64 { return m.head.Load() - m.tail.Load() }
