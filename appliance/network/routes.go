package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routes puts back what gokrazy's DHCP client may lose: with each address the kernel adds the route to its network, whose
// metric the client changes, by adding another and removing the first one. When the carrier comes in the same second as
// the lease, two of its parts do that at once, and both routes go. They do not come back by themselves, since the address
// stays: without them the box reaches nobody, and nobody it.
type routes struct {
	missing map[netip.Prefix]bool // at the last look, by the interface's address
}

// mend puts back the IPv4 routes that are missing for the second time; at the first, the client may be at work. It returns
// the addresses that they belong to.
func (r *routes) mend() ([]netip.Prefix, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	missing := map[netip.Prefix]bool{}
	var mended []netip.Prefix
	for _, l := range links {
		if l.Attrs().Flags&net.FlagUp == 0 || l.Attrs().Flags&net.FlagLoopback != 0 {
			continue
		}
		without, e := unrouted(l)
		err = errors.Join(err, e)
		for _, p := range without {
			if missing[p] = true; !r.missing[p] {
				continue
			}
			route := &netlink.Route{
				LinkIndex: l.Attrs().Index, Dst: network(p), Src: p.Addr().AsSlice(), Scope: netlink.SCOPE_LINK,
				Protocol: unix.RTPROT_KERNEL, Priority: metric,
			}
			if e := netlink.RouteReplace(route); e != nil && !errors.Is(e, syscall.ENETDOWN) {
				err = errors.Join(err, fmt.Errorf("%s: the route of %s: %w", l.Attrs().Name, p, e))
				continue
			}
			mended = append(mended, p)
		}
	}
	r.missing = missing
	return mended, err
}

// unrouted lists the IPv4 addresses of an interface that have no route to their network.
func unrouted(l netlink.Link) ([]netip.Prefix, error) {
	addresses, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	all, err := netlink.RouteList(l, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, route := range all {
		if route.Dst != nil {
			has[route.Dst.String()] = true
		}
	}
	var without []netip.Prefix
	for _, a := range addresses {
		p, ok := prefixOf(a.IPNet)
		if ok && p.Bits() < 31 && a.Flags&unix.IFA_F_NOPREFIXROUTE == 0 && a.Peer == nil && !has[network(p).String()] {
			without = append(without, p)
		}
	}
	return without, nil
}

// network is the one that an address is in.
func network(p netip.Prefix) *net.IPNet {
	m := p.Masked()
	return &net.IPNet{IP: m.Addr().AsSlice(), Mask: net.CIDRMask(m.Bits(), m.Addr().BitLen())}
}
