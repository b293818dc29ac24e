// Package network has the box's own network: its name, and for each interface addresses of its own or those of DHCP. What
// the file does not name is left alone: without a file all is as gokrazy has it.
package network

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// MaxFile is the size in bytes of the largest file.
const MaxFile = 64 << 10

// Config is what the file says.
type Config struct {
	// Hostname of the box. Empty: that of the image.
	Hostname string
	// DNS servers, in the order in which they are asked. None: those of DHCP.
	DNS []netip.Addr
	// Interfaces that are named.
	Interfaces []Interface
}

// Interface is one of them.
type Interface struct {
	Name string
	// DHCP leaves the addresses to gokrazy's DHCP client, which serves eth0.
	DHCP bool
	// Addresses with the length of their network, such as 192.168.1.20/24.
	Addresses []netip.Prefix
	// Gateways for everything else: at most one of IPv4 and one of IPv6.
	Gateways []netip.Addr
	// AcceptRA is whether routers may give it IPv6 addresses. Nil: as the kernel has it.
	AcceptRA *bool
	// Parent and VLAN make it a VLAN of another interface.
	Parent string
	VLAN   int
}

// Parse reads a text strictly. Each mistake has a line: file:line:column: field: text.
func Parse(name string, text []byte) (*Config, error) {
	r := &reader{name: name, text: text}
	c := new(Config)
	switch {
	case len(text) > MaxFile:
		r.fail(0, "", "larger than %d bytes", MaxFile)
	case len(strings.TrimSpace(string(text))) == 0:
		return c, nil
	default:
		root, err := hujson.Parse(append(slices.Clone(text), '\n'))
		if err != nil {
			return nil, r.syntax(err)
		}
		r.config(root, c)
	}
	if len(r.mistakes) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(r.mistakes, "\n"))
	}
	return c, nil
}

var (
	interfaceName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9._-]{0,14}$`)
	hostLabel     = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
)

func (r *reader) config(root hujson.Value, c *Config) {
	r.object(root, "", fields{
		"hostname": func(v hujson.Value, path string) {
			if c.Hostname = r.str(v, path); c.Hostname != "" && !hostLabel.MatchString(c.Hostname) {
				r.fail(v.StartOffset, path, "a name has letters, digits and hyphens, and at most 63 of them")
			}
		},
		"dns": func(v hujson.Value, path string) {
			r.list(v, path, 3, func(v hujson.Value, path string) {
				if a, ok := r.address(v, path); ok {
					c.DNS = append(c.DNS, a)
				}
			})
		},
		"interfaces": func(v hujson.Value, path string) {
			r.members(v, path, func(name string, at int, v hujson.Value, path string) {
				switch {
				case !interfaceName.MatchString(name):
					r.fail(at, path, "no interface has such a name; eth0 is one")
				case name == "lo":
					r.fail(at, path, "the box needs lo as it is")
				case len(c.Interfaces) >= 64:
					r.fail(at, path, "more than 64 interfaces")
				default:
					c.Interfaces = append(c.Interfaces, r.iface(name, v, path))
				}
			})
		},
	})
	names := map[string]bool{}
	for _, i := range c.Interfaces {
		names[i.Name] = i.VLAN == 0
	}
	for _, i := range c.Interfaces {
		if top, known := names[i.Parent]; i.VLAN > 0 && known && !top {
			r.fail(root.StartOffset, "interfaces."+i.Name+".parent", "%s is a VLAN itself", i.Parent)
		}
	}
}

func (r *reader) iface(name string, v hujson.Value, path string) Interface {
	i := Interface{Name: name}
	r.object(v, path, fields{
		"dhcp":      func(v hujson.Value, path string) { i.DHCP = r.flag(v, path) },
		"accept_ra": func(v hujson.Value, path string) { i.AcceptRA = new(r.flag(v, path)) },
		"addresses": func(v hujson.Value, path string) {
			r.list(v, path, 32, func(v hujson.Value, path string) {
				text := r.str(v, path)
				p, err := netip.ParsePrefix(text)
				switch {
				case err != nil:
					r.fail(v.StartOffset, path, "%q is no address with the length of its network, such as 192.168.1.20/24", text)
				case p.Addr().IsMulticast() || p.Addr().IsUnspecified() || p.Addr().IsLoopback() || p.Addr().Is4In6():
					r.fail(v.StartOffset, path, "%s cannot be the address of an interface", text)
				case p.Addr().Is4() && p.Bits() < 31 && p.Bits() > 0 && p.Masked().Addr() == p.Addr():
					r.fail(v.StartOffset, path, "%s is a whole network; write the address of the box in it", text)
				case slices.ContainsFunc(i.Addresses, func(other netip.Prefix) bool { return other.Addr() == p.Addr() }):
					r.fail(v.StartOffset, path, "%s is there twice", text)
				default:
					i.Addresses = append(i.Addresses, p)
				}
			})
		},
		"gateways": func(v hujson.Value, path string) {
			r.list(v, path, 2, func(v hujson.Value, path string) {
				a, ok := r.address(v, path)
				switch {
				case !ok:
				case slices.ContainsFunc(i.Gateways, func(other netip.Addr) bool { return other.Is4() == a.Is4() }):
					r.fail(v.StartOffset, path, "at most one of IPv4, and one of IPv6")
				default:
					i.Gateways = append(i.Gateways, a)
				}
			})
		},
		"parent": func(v hujson.Value, path string) {
			if i.Parent = r.str(v, path); !interfaceName.MatchString(i.Parent) || i.Parent == name || i.Parent == "lo" {
				r.fail(v.StartOffset, path, "the interface that it is a VLAN of, such as eth0")
			}
		},
		"vlan": func(v hujson.Value, path string) { i.VLAN = r.number(v, path, 1, 4094) },
	})
	switch {
	case (i.Parent == "") != (i.VLAN == 0):
		r.fail(v.StartOffset, path, "parent and vlan belong together; set both or none")
	case i.DHCP && len(i.Addresses)+len(i.Gateways) > 0:
		r.fail(v.StartOffset, path, "either dhcp, or addresses and gateways")
	case i.DHCP && name != DHCPInterface:
		r.fail(v.StartOffset, path, "DHCP is for %s alone; give addresses", DHCPInterface)
	case !i.DHCP && len(i.Addresses) == 0 && i.AcceptRA == nil:
		r.fail(v.StartOffset, path, `say how it gets an address: "dhcp": true, or "addresses": ["192.168.1.20/24"]`)
	}
	for _, g := range i.Gateways {
		if !g.IsLinkLocalUnicast() && !slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Contains(g) }) {
			r.fail(v.StartOffset, path, "the gateway %s is in none of the networks of the addresses", g)
		}
	}
	return i
}

// DHCPInterface is the one that gokrazy's DHCP client serves.
const DHCPInterface = "eth0"
