package network

import (
	"strings"
	"testing"
)

func TestMistakes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"{", "n.json:2:1: "},
		{"[]", "n.json:1:1: expected an object"},
		{"{\n  \"hostnam\": \"x\"}", "n.json:2:3: hostnam: unknown setting; one of dns, hostname, interfaces"},
		{`{"hostname": "a.b"}`, "n.json:1:14: hostname: a name has letters"},
		{`{"hostname": 1}`, "hostname: expected text"},
		{`{"hostname": "a", "hostname": "b"}`, "n.json:1:19: hostname: is there twice"},
		{`{"dns": ["one"]}`, `n.json:1:10: dns[0]: "one" is no address`},
		{`{"dns": ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]}`, "at most 3"},
		{`{"interfaces": {"lo": {}}}`, "interfaces.lo: the box needs lo"},
		{`{"interfaces": {"a/b": {}}}`, "no interface has such a name"},
		{`{"interfaces": {"eth0": {}}}`, "say how it gets an address"},
		{`{"interfaces": {"eth1": {"dhcp": true}}}`, "DHCP is for eth0 alone"},
		{`{"interfaces": {"eth0": {"dhcp": true, "addresses": ["10.0.0.1/8"]}}}`, "either dhcp, or"},
		{`{"interfaces": {"eth0": {"addresses": ["10.0.0.1"]}}}`, "no address with the length"},
		{`{"interfaces": {"eth0": {"addresses": ["10.0.0.0/8"]}}}`, "is a whole network"},
		{`{"interfaces": {"eth0": {"addresses": ["224.0.0.1/8"]}}}`, "cannot be the address"},
		{`{"interfaces": {"eth0": {"addresses": ["10.0.0.1/8", "10.0.0.1/9"]}}}`, "is there twice"},
		{`{"interfaces": {"eth0": {"addresses": ["10.0.0.1/24"], "gateways": ["10.0.1.1"]}}}`, "in none of the networks"},
		{`{"interfaces": {"eth0": {"addresses": ["10.0.0.1/24"], "gateways": ["10.0.0.2", "10.0.0.3"]}}}`, "at most one of IPv4"},
		{`{"interfaces": {"v": {"vlan": 7, "addresses": ["10.0.0.1/24"]}}}`, "parent and vlan belong together"},
		{`{"interfaces": {"v": {"vlan": 4095, "parent": "eth0"}}}`, "from 1 to 4094"},
		{`{"interfaces": {"v": {"vlan": 7, "parent": "w", "addresses": ["10.0.0.1/24"]}, "w": {"vlan": 8, "parent": "eth0", "addresses": ["10.1.0.1/24"]}}}`, "is a VLAN itself"},
		{strings.Repeat("[", MaxFile+1), "larger than"},
	} {
		if c, err := Parse("n.json", []byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80s: %+v, %v, want %q", test.text, c, err, test.want)
		}
	}
}

const good = `// the box
{
  "hostname": "box1",
  "dns": ["192.0.2.1", "2001:db8::53"],
  "interfaces": {
    "eth0": {"addresses": ["192.0.2.20/24", "2001:db8::20/64"], "gateways": ["192.0.2.1", "fe80::1"], "accept_ra": false},
    "eth0.7": {"parent": "eth0", "vlan": 7, "addresses": ["198.51.100.2/24"]}, // management
  },
}`

func TestParse(t *testing.T) {
	c, err := Parse("n.json", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "box1" || len(c.DNS) != 2 || len(c.Interfaces) != 2 || c.Interfaces[1].VLAN != 7 || *c.Interfaces[0].AcceptRA || len(c.Interfaces[0].Gateways) != 2 {
		t.Errorf("%+v", c)
	}
	for _, text := range []string{"", " \n", "{}", "{} // nothing", `{"interfaces": {"eth0": {"dhcp": true}}}`} {
		if _, err := Parse("n.json", []byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"interfaces": {"eth0": {"dhcp": true}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Parse("n.json", text); err != nil && !strings.HasPrefix(err.Error(), "n.json:") {
			t.Errorf("no place: %v", err)
		}
	})
}
