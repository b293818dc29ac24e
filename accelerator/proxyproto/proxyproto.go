// Package proxyproto reads and writes the headers of the PROXY protocol, versions 1
// and 2, by which a proxy that passes on connections says between whom they are:
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Sections are those
// of that text.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

// Header says between whom a connection is.
type Header struct {
	Source      netip.AddrPort
	Destination netip.AddrPort
}

// Known reports whether the header says it. If not, the connection is the proxy's
// own, such as a health check, or of a kind that has no such addresses.
func (h Header) Known() bool { return h.Source.IsValid() && h.Destination.IsValid() }

// ErrMalformed is the error of bytes that are not a header, and will not become one.
var ErrMalformed = errors.New("not a PROXY protocol header")

const (
	prefix1 = "PROXY "
	prefix2 = "\r\n\r\n\x00\r\nQUIT\n"

	// most1 is the length of the longest line of version 1, §2.1.
	most1 = 107
	// fixed2 is what each header of version 2 begins with: the prefix, version and
	// command, family, length; §2.2.
	fixed2 = len(prefix2) + 4
	// MaxSize is the length of the longest header that is read: much room for TLVs.
	MaxSize = 4096
)

// Parse reads the header that b begins with, and returns its length. A length of 0
// without an error means that more bytes are needed.
func Parse(b []byte) (h Header, size int, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(prefix1)):
		return parse1(b)
	case bytes.HasPrefix(b, []byte(prefix2)):
		return parse2(b)
	case strings.HasPrefix(prefix1, string(b[:min(len(b), len(prefix1))])), strings.HasPrefix(prefix2, string(b[:min(len(b), len(prefix2))])):
		return Header{}, 0, nil
	}
	return Header{}, 0, ErrMalformed
}

// parse1 reads a line such as "PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n".
func parse1(b []byte) (h Header, size int, err error) {
	line, _, ended := bytes.Cut(b[:min(len(b), most1)], []byte("\r\n"))
	switch {
	case !ended && len(b) >= most1:
		return Header{}, 0, ErrMalformed
	case bytes.ContainsAny(bytes.TrimSuffix(line, []byte("\r")), "\r\n"):
		return Header{}, 0, ErrMalformed
	case !ended:
		return Header{}, 0, nil
	}
	size = len(line) + len("\r\n")
	fields := strings.Split(string(line[len(prefix1):]), " ")
	if fields[0] == "UNKNOWN" {
		return Header{}, size, nil // Whatever follows is to be ignored.
	}
	if len(fields) != 5 {
		return Header{}, 0, ErrMalformed
	}
	source, ok1 := endpoint(fields[0], fields[1], fields[3])
	destination, ok2 := endpoint(fields[0], fields[2], fields[4])
	if !ok1 || !ok2 {
		return Header{}, 0, ErrMalformed
	}
	return Header{source, destination}, size, nil
}

// endpoint reads an address and a port in their only forms.
func endpoint(family, address, port string) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || portErr != nil || a.Zone() != "":
		return netip.AddrPort{}, false
	case family != "TCP4" && family != "TCP6", a.Is4() != (family == "TCP4"):
		return netip.AddrPort{}, false
	case strconv.FormatUint(n, 10) != port:
		return netip.AddrPort{}, false // Zeros before it, or a sign.
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// The bytes of version 2, §2.2.
const (
	local  = 0x20 // version 2, command LOCAL
	proxy  = 0x21 // version 2, command PROXY
	unspec = 0x00
	tcp4   = 0x11
	udp4   = 0x12
	tcp6   = 0x21
	udp6   = 0x22
	stream = 0x31 // AF_UNIX
	dgram  = 0x32

	typeCRC32C = 0x03
)

// addresses2 is how long the addresses of each family are.
var addresses2 = map[byte]int{unspec: 0, tcp4: 12, udp4: 12, tcp6: 36, udp6: 36, stream: 216, dgram: 216}

func parse2(b []byte) (h Header, size int, err error) {
	if len(b) > len(prefix2) && b[len(prefix2)] != local && b[len(prefix2)] != proxy {
		return Header{}, 0, ErrMalformed
	}
	if len(b) < fixed2 {
		return Header{}, 0, nil
	}
	command, family := b[len(prefix2)], b[len(prefix2)+1]
	size = fixed2 + int(binary.BigEndian.Uint16(b[fixed2-2:]))
	length, known := addresses2[family]
	switch {
	case size > MaxSize || !known:
		return Header{}, 0, ErrMalformed
	case command == proxy && size < fixed2+length:
		return Header{}, 0, ErrMalformed
	case len(b) < size:
		return Header{}, 0, nil
	case command == local:
		return Header{}, size, nil // Family and addresses are to be ignored.
	}
	a := b[fixed2:size]
	if !validTLVs(b[:size], fixed2+length) {
		return Header{}, 0, ErrMalformed
	}
	switch family {
	case tcp4:
		h.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a)), binary.BigEndian.Uint16(a[8:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:])), binary.BigEndian.Uint16(a[10:]))
	case tcp6:
		h.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a)).Unmap(), binary.BigEndian.Uint16(a[32:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[16:])).Unmap(), binary.BigEndian.Uint16(a[34:]))
	}
	return h, size, nil
}

// validTLVs reports whether what follows the addresses are whole TLVs, §2.2.1, and
// whether the checksum is right if there is one, §2.2.3. Nothing else in them is of
// interest.
func validTLVs(header []byte, at int) bool {
	for at < len(header) {
		if len(header)-at < 3 {
			return false
		}
		kind, length := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += 3
		if length > len(header)-at {
			return false
		}
		if kind == typeCRC32C && (length != 4 || checksum(header, at) != binary.BigEndian.Uint32(header[at:])) {
			return false
		}
		at += length
	}
	return true
}

// checksum is that of a header with zeros for the checksum itself.
func checksum(header []byte, at int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, header[:at])
	sum = crc32.Update(sum, table, make([]byte, 4))
	return crc32.Update(sum, table, header[at+4:])
}

// Append1 appends a header of version 1.
func Append1(b []byte, h Header) []byte {
	h, six := h.oneFamily()
	b = append(b, prefix1...)
	switch {
	case !h.Known():
		return append(b, "UNKNOWN\r\n"...)
	case six:
		b = append(b, "TCP6 "...)
	default:
		b = append(b, "TCP4 "...)
	}
	b = h.Source.Addr().AppendTo(b)
	b = h.Destination.Addr().AppendTo(append(b, ' '))
	b = strconv.AppendUint(append(b, ' '), uint64(h.Source.Port()), 10)
	b = strconv.AppendUint(append(b, ' '), uint64(h.Destination.Port()), 10)
	return append(b, "\r\n"...)
}

// Append2 appends a header of version 2: LOCAL if nothing is known.
func Append2(b []byte, h Header) []byte {
	h, six := h.oneFamily()
	b = append(b, prefix2...)
	switch {
	case !h.Known():
		return append(b, local, unspec, 0, 0)
	case six:
		b = append(b, proxy, tcp6, 0, byte(addresses2[tcp6]))
	default:
		b = append(b, proxy, tcp4, 0, byte(addresses2[tcp4]))
	}
	b = append(b, h.Source.Addr().AsSlice()...)
	b = append(b, h.Destination.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, h.Source.Port())
	return binary.BigEndian.AppendUint16(b, h.Destination.Port())
}

// oneFamily makes both addresses IPv6 unless both are IPv4, and takes zones off.
func (h Header) oneFamily() (_ Header, six bool) {
	if !h.Known() {
		return Header{}, false
	}
	source, destination := h.Source.Addr().Unmap().WithZone(""), h.Destination.Addr().Unmap().WithZone("")
	if six = !source.Is4() || !destination.Is4(); six {
		source, destination = netip.AddrFrom16(source.As16()), netip.AddrFrom16(destination.As16())
	}
	return Header{netip.AddrPortFrom(source, h.Source.Port()), netip.AddrPortFrom(destination, h.Destination.Port())}, six
}
