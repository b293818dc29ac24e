package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// All that touches the kernel.

// mark is the alias of the interfaces that we made.
const mark = "ramjet"

// link returns an interface, up, and makes it if it is a VLAN.
func link(i *Interface) (netlink.Link, error) {
	l, err := netlink.LinkByName(i.Name)
	if err != nil && i.VLAN > 0 {
		l, err = makeVLAN(i)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.Name, err)
	}
	if v, is := l.(*netlink.Vlan); i.VLAN > 0 && (!is || v.VlanId != i.VLAN) {
		return nil, fmt.Errorf("%s is there and is not VLAN %d", i.Name, i.VLAN)
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(l); err != nil {
			return nil, fmt.Errorf("%s: up: %w", i.Name, err)
		}
	}
	return l, nil
}

func makeVLAN(i *Interface) (netlink.Link, error) {
	parent, err := netlink.LinkByName(i.Parent)
	if err != nil {
		return nil, fmt.Errorf("parent %s: %w", i.Parent, err)
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.ParentIndex = i.Name, parent.Attrs().Index
	if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attributes, VlanId: i.VLAN}); err != nil {
		return nil, fmt.Errorf("making VLAN %d of %s: %w", i.VLAN, i.Parent, err)
	}
	l, err := netlink.LinkByName(i.Name)
	if err != nil {
		return nil, err
	}
	return l, netlink.LinkSetAlias(l, mark)
}

// hasVLANs reports whether the kernel knows them.
func hasVLANs() bool {
	_, err := os.Stat("/proc/net/vlan")
	return err == nil
}

// removeVLANs removes those that we made and that are not wanted any more.
func removeVLANs(wanted []Interface) error {
	all, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range all {
		v, is := l.(*netlink.Vlan)
		if !is || v.Alias != mark {
			continue
		}
		parent := ""
		if p, err := netlink.LinkByIndex(v.ParentIndex); err == nil {
			parent = p.Attrs().Name
		}
		if !slices.ContainsFunc(wanted, func(i Interface) bool {
			return i.Name == v.Name && i.VLAN == v.VlanId && i.Parent == parent
		}) {
			err = errors.Join(err, netlink.LinkDel(l))
		}
	}
	return err
}

// setAddresses has an interface have these addresses, beside those that routers gave it.
func setAddresses(l netlink.Link, wanted []netip.Prefix) error {
	now, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	has := map[netip.Prefix]bool{}
	for _, a := range now {
		p, ok := prefixOf(a.IPNet)
		if !ok || a.Flags&unix.IFA_F_PERMANENT == 0 || p.Addr().IsLinkLocalUnicast() && !slices.Contains(wanted, p) {
			continue
		}
		if slices.Contains(wanted, p) {
			has[p] = true
			continue
		}
		if e := netlink.AddrDel(l, &a); e != nil && !errors.Is(e, syscall.EADDRNOTAVAIL) { // It may have gone with another one.
			err = errors.Join(err, fmt.Errorf("removing %s: %w", p, e))
		}
	}
	for _, p := range wanted {
		if has[p] {
			continue
		}
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if e := netlink.AddrReplace(l, a); e != nil {
			err = errors.Join(err, fmt.Errorf("adding %s: %w", p, e))
		}
	}
	return err
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits), ok
}

// metric is that of our default routes: as gokrazy's DHCP client has it for eth0, so that one takes the other's place.
const metric = 1

// setGateways has an interface have these default routes, beside those that routers gave it.
func setGateways(l netlink.Link, wanted []netip.Addr) error {
	now, err := netlink.RouteList(l, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	has := map[netip.Addr]bool{}
	for _, r := range now {
		if r.Gw == nil || !isDefault(r.Dst) || r.Protocol == unix.RTPROT_RA {
			continue
		}
		g, _ := netip.AddrFromSlice(r.Gw)
		if g = g.Unmap(); slices.Contains(wanted, g) {
			has[g] = true
			continue
		}
		if e := netlink.RouteDel(&r); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("removing the route over %s: %w", g, e))
		}
	}
	for _, g := range wanted {
		if has[g] {
			continue
		}
		r := &netlink.Route{LinkIndex: l.Attrs().Index, Gw: g.AsSlice(), Priority: metric}
		if g.IsLinkLocalUnicast() {
			r.SetFlag(netlink.FLAG_ONLINK)
		}
		if e := netlink.RouteReplace(r); e != nil {
			err = errors.Join(err, fmt.Errorf("the route over %s: %w", g, e))
		}
	}
	return err
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0 && dst.IP.IsUnspecified()
}

// setAcceptRA sets whether routers are listened to.
func setAcceptRA(name string, yes bool) error {
	file := filepath.Join("/proc/sys/net/ipv6/conf", name, "accept_ra")
	text := "0"
	if yes {
		text = "2" // Even on a machine that forwards.
	}
	if now, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(now)) == text {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// endProcesses ends those of a program: gokrazy starts it again.
func endProcesses(program string) error {
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range all {
		target, e := os.Readlink(exe)
		if e != nil || target != program {
			continue
		}
		var pid int
		if _, e := fmt.Sscanf(exe, "/proc/%d/exe", &pid); e == nil && pid > 1 {
			err = errors.Join(err, syscall.Kill(pid, syscall.SIGTERM))
		}
	}
	return err
}
