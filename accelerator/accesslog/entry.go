package accesslog

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"
)

// An entry is a record in a ring: a head of fixed length, then the texts one
// behind the other, then the times of a request that was forwarded, then padding to a multiple of 8, so that the length field of
// an entry never lies across the end of the ring.
//
//	 0  uint32  length of the entry; 0: nothing up to the end of the ring
//	 4  uint16  status
//	 6  uint16  length of the method, then of target, protocol, host, referer, user agent, backend, event
//	22  uint16  retries
//	24  int64   time, ns since 1970
//	32  int64   duration, ns
//	40  int64   body bytes
//	48  [16]byte  remote address, IPv4 mapped into IPv6; all zero: unknown
//
// The times are there if there is a backend or an event: int64 each, in ns, in the order of Forward.
const (
	entryHead    = 64
	forwardTimes = 3 * 8
	maxEntry     = entryHead + MaxMethod + MaxTarget + MaxProtocol + MaxHost + 2*MaxField + MaxBackend + MaxEvent + forwardTimes + 7
)

// entryLen returns the length of a record as an entry.
func entryLen(r *Record) int {
	n := min(len(r.Method), MaxMethod) + min(len(r.Target), MaxTarget) + min(len(r.Protocol), MaxProtocol) +
		min(len(r.Host), MaxHost) + min(len(r.Referer), MaxField) + min(len(r.UserAgent), MaxField)
	if f := &r.Forward; len(f.Backend)|len(f.Event) > 0 {
		n += min(len(f.Backend), MaxBackend) + min(len(f.Event), MaxEvent) + forwardTimes
	}
	return (entryHead + n + 7) &^ 7
}

// putEntry writes the record into d, whose length is entryLen.
func putEntry(d []byte, r *Record) {
	h := d[:entryHead:entryHead]
	binary.LittleEndian.PutUint32(h[0:], uint32(len(d)))
	binary.LittleEndian.PutUint16(h[4:], uint16(r.Status))
	binary.LittleEndian.PutUint64(h[24:], uint64(r.Time))
	binary.LittleEndian.PutUint64(h[32:], uint64(r.Duration))
	binary.LittleEndian.PutUint64(h[40:], uint64(r.Bytes))
	*(*[16]byte)(h[48:]) = r.Remote.As16()
	n := putText(d, entryHead, h[6:], r.Method, MaxMethod)
	n = putText(d, n, h[8:], r.Target, MaxTarget)
	n = putText(d, n, h[10:], r.Protocol, MaxProtocol)
	n = putText(d, n, h[12:], r.Host, MaxHost)
	n = putText(d, n, h[14:], r.Referer, MaxField)
	n = putText(d, n, h[16:], r.UserAgent, MaxField)
	if f := &r.Forward; len(f.Backend)|len(f.Event) > 0 {
		putForward(d, n, h, f)
		return
	}
	binary.LittleEndian.PutUint32(h[18:], 0)
}

// putForward writes what is known of a request that was forwarded.
func putForward(d []byte, at int, h []byte, f *Forward) {
	at = putText(d, at, h[18:], f.Backend, MaxBackend)
	at = putText(d, at, h[20:], f.Event, MaxEvent)
	binary.LittleEndian.PutUint16(h[22:], uint16(max(0, min(f.Retries, math.MaxUint16))))
	for i, t := range [...]time.Duration{f.Connect, f.FirstByte, f.Duration} {
		binary.LittleEndian.PutUint64(d[at+8*i:], uint64(t))
	}
}

// putText copies a text to d[at:] and its length to length, and returns the place
// behind it.
func putText(d []byte, at int, length, text []byte, limit int) int {
	n := copy(d[at:], text[:min(len(text), limit)])
	binary.LittleEndian.PutUint16(length, uint16(n))
	return at + n
}

// getEntry reads the entry that d begins with. The texts of the record are views
// into d.
func getEntry(d []byte, r *Record) {
	h := d[:entryHead:entryHead]
	r.Status = int(binary.LittleEndian.Uint16(h[4:]))
	r.Time = int64(binary.LittleEndian.Uint64(h[24:]))
	r.Duration = time.Duration(binary.LittleEndian.Uint64(h[32:]))
	r.Bytes = int64(binary.LittleEndian.Uint64(h[40:]))
	r.Remote = netip.Addr{}
	if address := [16]byte(h[48:]); address != [16]byte{} {
		r.Remote = netip.AddrFrom16(address).Unmap()
	}
	rest := d[entryHead:]
	r.Method, rest = takeText(rest, h[6:])
	r.Target, rest = takeText(rest, h[8:])
	r.Protocol, rest = takeText(rest, h[10:])
	r.Host, rest = takeText(rest, h[12:])
	r.Referer, rest = takeText(rest, h[14:])
	r.UserAgent, rest = takeText(rest, h[16:])
	r.Forward = Forward{}
	if binary.LittleEndian.Uint32(h[18:]) != 0 {
		rest = getForward(rest, h, &r.Forward)
	}
	r.plain = plain(d[entryHead : len(d)-len(rest)])
}

// getForward reads what an entry has of a request that was forwarded, and returns
// what is behind its texts.
func getForward(d, h []byte, f *Forward) []byte {
	f.Backend, d = takeText(d, h[18:])
	f.Event, d = takeText(d, h[20:])
	f.Retries = int(binary.LittleEndian.Uint16(h[22:]))
	for i, t := range [...]*time.Duration{&f.Connect, &f.FirstByte, &f.Duration} {
		*t = time.Duration(binary.LittleEndian.Uint64(d[8*i:]))
	}
	return d
}

// takeText divides d behind the length that stands in length.
func takeText(d, length []byte) (text, rest []byte) {
	n := int(binary.LittleEndian.Uint16(length))
	return d[:n:n], d[n:]
}
