package health

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hop is a default gateway.
type hop struct {
	ip    netip.Addr
	iface string
}

func (h hop) String() string { return h.ip.String() + " on " + h.iface }

// hops reads the default gateways from the kernel's tables, IPv4 first.
func hops() ([]hop, error) {
	four, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, err
	}
	six, err := os.ReadFile("/proc/net/ipv6_route")
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return append(routes4(string(four)), routes6(string(six))...), nil
}

// routes4 reads /proc/net/route: numbers of 32 bits as the machine has them, in hexadecimal digits.
func routes4(text string) (all []hop) {
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		raw, err := hex.DecodeString(f[2])
		if err != nil || len(raw) != 4 || f[2] == "00000000" {
			continue
		}
		slices.Reverse(raw) // All boards are little endian.
		ip, _ := netip.AddrFromSlice(raw)
		all = append(all, hop{ip, f[0]})
	}
	return all
}

// routes6 reads /proc/net/ipv6_route.
func routes6(text string) (all []hop) {
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[1] != "00" || strings.Trim(f[0], "0") != "" || strings.Trim(f[4], "0") == "" {
			continue
		}
		raw, err := hex.DecodeString(f[4])
		if err != nil || len(raw) != 16 {
			continue
		}
		ip, _ := netip.AddrFromSlice(raw)
		all = append(all, hop{ip, f[9]})
	}
	return all
}

// neighbour asks the kernel (rtnetlink) how a neighbour is; 0: it has not heard of it.
func neighbour(h hop) (uint16, error) {
	table, err := syscall.NetlinkRIB(unix.RTM_GETNEIGH, unix.AF_UNSPEC)
	if err != nil {
		return 0, fmt.Errorf("netlink: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(table)
	if err != nil {
		return 0, fmt.Errorf("netlink: %w", err)
	}
	iface, err := net.InterfaceByName(h.iface)
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH || len(m.Data) < unix.SizeofNdMsg {
			continue
		}
		about := (*unix.NdMsg)(unsafe.Pointer(&m.Data[0]))
		if int(about.Ifindex) != iface.Index || destination(m.Data[unix.SizeofNdMsg:]) != h.ip {
			continue
		}
		return about.State, nil
	}
	return 0, nil
}

// destination finds the address among the attributes of a message about a neighbour.
func destination(data []byte) netip.Addr {
	for len(data) >= unix.SizeofRtAttr {
		a := (*unix.RtAttr)(unsafe.Pointer(&data[0]))
		n := int(a.Len)
		if n < unix.SizeofRtAttr || n > len(data) {
			break
		}
		if a.Type == unix.NDA_DST {
			ip, _ := netip.AddrFromSlice(data[unix.SizeofRtAttr:n])
			return ip
		}
		data = data[min((n+3)&^3, len(data)):]
	}
	return netip.Addr{}
}

// stir sends a datagram that nobody needs to answer (port 9, discard), so that the kernel has to know where the gateway is.
func stir(h hop) {
	address := netip.AddrPortFrom(h.ip, 9)
	if h.ip.Is6() && h.ip.IsLinkLocalUnicast() {
		address = netip.AddrPortFrom(h.ip.WithZone(h.iface), 9)
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(address))
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte{0})
	conn.Close()
}

// reachable has the kernel ask for the gateway, by ARP or neighbour discovery, and waits for what it finds. An old entry
// counts as well: the kernel confirms it within some seconds of the datagram, and the next look has the result.
func (l *look) reachable(h hop) (bool, string) {
	stir(h)
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		state, err := neighbour(h)
		switch {
		case err != nil:
			return false, err.Error()
		case state&(unix.NUD_REACHABLE|unix.NUD_PERMANENT|unix.NUD_NOARP|unix.NUD_STALE|unix.NUD_DELAY|unix.NUD_PROBE) != 0:
			return true, ""
		case state&unix.NUD_FAILED != 0:
			stir(h)
		}
		if time.Now().After(deadline) || l.ctx.Err() != nil {
			return false, "it does not answer"
		}
	}
}

func (l *look) gateway() (State, string) {
	all, err := hops()
	if err != nil {
		return Unknown, err.Error()
	}
	var silent []string
	for _, h := range all {
		ok, why := l.reachable(h)
		if ok {
			l.via = h.ip.String()
			return OK, h.String()
		}
		silent = append(silent, h.String()+": "+why)
	}
	text := strings.Join(silent, "; ")
	if len(all) == 0 {
		text = "there is no default route"
	}
	if l.before.Gateway == "" {
		return Unknown, text + "; as far as is known there was none before"
	}
	return Failed, text + "; before, " + l.before.Gateway + " answered"
}

// farm: the accelerator's own checks say who is up.
func (l *look) farm() (State, string) {
	if l.status == nil {
		return l.silent()
	}
	l.pools = map[string]bool{}
	unchecked := map[string]bool{}
	for _, b := range l.status.Backends {
		l.pools[b.Pool] = l.pools[b.Pool] || b.Health == "up"
		unchecked[b.Pool] = unchecked[b.Pool] || b.Health == "unchecked"
	}
	var up, down []string
	for pool, is := range l.pools {
		switch {
		case is:
			up = append(up, pool)
		case slices.Contains(l.before.Pools, pool) && !unchecked[pool]:
			down = append(down, pool)
		}
	}
	sort.Strings(up)
	sort.Strings(down)
	switch {
	case len(down) > 0:
		return Failed, "nobody is up any more of: " + strings.Join(down, " ")
	case len(l.pools) == 0:
		return OK, "there is none"
	case len(up) == 0:
		return Unknown, "nobody is known to be up, and as far as is known nobody was before"
	}
	return OK, "up: " + strings.Join(up, " ")
}
