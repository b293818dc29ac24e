package config

import (
	"fmt"
	"strings"

	"github.com/tailscale/hujson"
)

// maxPools is far more than anybody can look after: each checks its backends.
const maxPools = 100

// readPools reads "pools", whose names are not fixed. It comes after the sections that the pools take their defaults
// from, wherever these stand in the file.
func (c *Config) readPools(n node, folder string) {
	const example = `{"api": {"backends": [` + exampleBackend + `]}}`
	obj, ok := n.value.Value.(*hujson.Object)
	if ok && len(obj.Members) > maxPools {
		n.fail("%d pools are too many; there can be %d", len(obj.Members), maxPools)
		return
	}
	known := keys{}
	cookies := map[string]string{c.Forward.StickyCookie: "forward"} // name -> path of the section that named it
	pools := []Pool{}
	for i := 0; ok && i < len(obj.Members); i++ {
		name := obj.Members[i].Name
		key := name.Value.(hujson.Literal).String()
		known[key] = func(value node) {
			if err := checkPoolName(key); err != nil {
				node{n.d, value.path, name}.fail("%v", err)
				return
			}
			p := Pool{Name: key, Forward: c.Forward, Health: c.Health, Ejection: c.Ejection}
			p.read(value, folder)
			p.ownCookie(value, cookies)
			pools = append(pools, p)
		}
	}
	n.object(example, known)
	c.Pools = pools
}

func (p *Pool) read(n node, folder string) {
	n.object(`{"backends": [`+exampleBackend+`]}`, keys{
		"backends": func(n node) {
			readBackends(&p.Backends)(n)
			if p.Backends != nil && len(p.Backends) == 0 {
				n.fail("a pool needs at least one backend; write [%s]", exampleBackend)
			}
		},
		"forward":  func(n node) { p.Forward.read(n, folder) },
		"health":   p.Health.read,
		"ejection": p.Ejection.read,
	}, "backends")
}

// ownCookie sees to it that each pool has a sticky cookie of its own: with the same one, a client of both would lose its
// backend in one with each request to the other.
func (p *Pool) ownCookie(n node, taken map[string]string) {
	cookie := &p.Forward.StickyCookie
	if *cookie == "" {
		return
	}
	if taken[*cookie] == "forward" {
		*cookie += "_" + p.Name
	}
	if before, ok := taken[*cookie]; ok {
		n.fail("its sticky_cookie %s is that of %s too; give each another", quote(*cookie), before)
		return
	}
	taken[*cookie] = n.path
}

// checkPoolName checks the name of a pool: it becomes part of metrics and cookies.
func checkPoolName(s string) error {
	odd := func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	switch {
	case s == DefaultPool:
		return fmt.Errorf("%q is the pool of the top-level backends; write them there", s)
	case s == "" || len(s) > maxShown || strings.ContainsFunc(s, odd):
		return fmt.Errorf("%s is not the name of a pool; write up to %d letters, digits, - and _", quote(s), maxShown)
	}
	return nil
}
