package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// v2 is a header of version 2.
func v2(command, family byte, payload string) string {
	return prefix2 + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(payload)))) + payload
}

const (
	four = "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x00\x50"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x00\x50"
)

func TestMalformed(t *testing.T) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\n", "P\x00", "PROXX ", "proxy TCP4 ", "\r\n\r\n\x01", "\x16\x03\x01",
		"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2\t1 2\r\n",
		"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 2\r\n",
		"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n", "PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", "PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n",
		"PROXY TCP4 " + strings.Repeat("1", 100), "PROXY UNKNOWN" + strings.Repeat(" ", 100) + "\r\n", "PROXY UNKNOWNS\r\n", "PROXY unknown\r\n",
		prefix2 + "\x11", prefix2 + "\x22", prefix2 + "\x31\x11\x00\x00",
		v2(proxy, tcp4, four[:11]), v2(proxy, tcp6, six[:35]), v2(proxy, stream, strings.Repeat("x", 215)), v2(proxy, 0x13, four), v2(proxy, 0x41, four),
		v2(proxy, 0x01, ""), v2(proxy, tcp4, four+"\x04"), v2(proxy, tcp4, four+"\x04\x00\x01"), v2(proxy, tcp4, four+"\x03\x00\x04abcd"),
		v2(proxy, tcp4, four+"\x03\x00\x02ab"), v2(proxy, tcp4, four+strings.Repeat("x", MaxSize)), v2(local, unspec, strings.Repeat("x", MaxSize)),
	} {
		if h, n, err := Parse([]byte(s)); !errors.Is(err, ErrMalformed) || n != 0 || h != (Header{}) {
			t.Errorf("%.60q: %v, %d, %v", s, h, n, err)
		}
	}
}

func TestParse(t *testing.T) {
	tlv := v2(proxy, tcp4, four+"\x04\x00\x02ab\x03\x00\x04\x00\x00\x00\x00")
	sum := checksum([]byte(tlv), len(tlv)-4)
	tlv = tlv[:len(tlv)-4] + string(binary.BigEndian.AppendUint32(nil, sum))
	for s, want := range map[string]string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n":         "192.0.2.1:56324 192.0.2.2:80",
		"PROXY TCP6 2001:db8::1 2001:db8::2 56324 80\r\n":     "[2001:db8::1]:56324 [2001:db8::2]:80",
		"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 0 65535\r\n": "192.0.2.1:0 [2001:db8::2]:65535",
		"PROXY UNKNOWN\r\n":                                       "",
		"PROXY UNKNOWN whatever 1 2\r\n":                          "",
		"PROXY UNKNOWN " + strings.Repeat("f", most1-16) + "\r\n": "",
		v2(proxy, tcp4, four):                                     "192.0.2.1:56324 192.0.2.2:80",
		v2(proxy, tcp6, six):                                      "[2001:db8::1]:56324 [2001:db8::2]:80",
		v2(proxy, tcp4, four+"\x04\x00\x00\xee\x00\x03abc"):       "192.0.2.1:56324 192.0.2.2:80",
		tlv:                   "192.0.2.1:56324 192.0.2.2:80",
		v2(local, unspec, ""): "",
		v2(local, tcp4, four): "",
		v2(local, tcp4, "?"):  "",
		v2(proxy, unspec, ""): "",
		v2(proxy, udp4, four): "",
		v2(proxy, stream, strings.Repeat("x", 216)):                    "",
		v2(proxy, unspec, "\x04"+"\x0f\xd0"+strings.Repeat("x", 4048)): "",
	} {
		h, n, err := Parse([]byte(s + "GET"))
		got := ""
		if h.Known() {
			got = h.Source.String() + " " + h.Destination.String()
		}
		if err != nil || n != len(s) || got != want {
			t.Errorf("%.60q: %q, %d, %v", s, got, n, err)
		}
		for i := range len(s) {
			if h, n, err := Parse([]byte(s[:i])); err != nil || n != 0 || h != (Header{}) {
				t.Errorf("%.60q, the first %d bytes: %v, %d, %v", s, i, h, n, err)
				break
			}
		}
	}
}

func TestAppend(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		h        Header
		one, two string
	}{
		{Header{at("192.0.2.1:56324"), at("192.0.2.2:80")}, "PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n", v2(proxy, tcp4, four)},
		{Header{at("[::ffff:192.0.2.1]:56324"), at("192.0.2.2:80")}, "PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n", v2(proxy, tcp4, four)},
		{Header{at("[2001:db8::1%eth0]:56324"), at("[2001:db8::2]:80")}, "PROXY TCP6 2001:db8::1 2001:db8::2 56324 80\r\n", v2(proxy, tcp6, six)},
		{Header{at("192.0.2.1:1"), at("[2001:db8::2]:2")}, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n",
			v2(proxy, tcp6, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"+six[16:32]+"\x00\x01\x00\x02")},
		{Header{}, "PROXY UNKNOWN\r\n", v2(local, unspec, "")},
		{Header{Source: at("192.0.2.1:56324")}, "PROXY UNKNOWN\r\n", v2(local, unspec, "")},
	} {
		if got := string(Append1(nil, c.h)); got != c.one {
			t.Errorf("%v: %q", c.h, got)
		}
		if got := string(Append2([]byte("x"), c.h)); got != "x"+c.two {
			t.Errorf("%v: %q", c.h, got)
		}
	}
}

// Whatever arrives, and in whichever pieces, the verdict is the same; a header that
// is good reads the same when it is written anew.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\nGET", "PROXY UNKNOWN\r\n", v2(proxy, tcp4, four), v2(proxy, tcp6, six+"\x04\x00\x01a"), v2(local, unspec, ""), "", "GET / HTTP/1.1\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if err != nil && (n != 0 || h != (Header{})) || n > len(b) || n > MaxSize {
			t.Fatalf("%v, %d, %v", h, n, err)
		}
		for i := range min(len(b), 200) {
			early, m, earlyErr := Parse(b[:i])
			switch {
			case earlyErr != nil && err == nil:
				t.Fatalf("the first %d bytes are malformed, all are not", i)
			case m != 0 && (m != n || early != h):
				t.Fatalf("the first %d bytes are another header", i)
			case n > 0 && i < n && m != 0:
				t.Fatalf("a header of %d bytes is whole after %d", n, i)
			}
		}
		if n == 0 || !h.Known() {
			return
		}
		for _, again := range [][]byte{Append1(nil, h), Append2(nil, h)} {
			if got, m, err := Parse(again); got != h || m != len(again) || err != nil {
				t.Fatalf("%v becomes %q, and that %v, %d, %v", h, again, got, m, err)
			}
		}
		if !bytes.HasPrefix(b, []byte(prefix1)) && !bytes.HasPrefix(b, []byte(prefix2)) {
			t.Fatal("a header without a prefix")
		}
	})
}
