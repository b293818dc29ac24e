package network

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"github.com/vishvananda/netlink"

	"ramjet/appliance/durable"
)

// Keeper puts the file to work and sees to it that it stays so: gokrazy's DHCP client renews its lease for eth0 whatever
// the file says, so addresses that are not wanted are removed again, within seconds. It is a task.
//
// The client goes on running because it is gokrazy's: the box has its network even if this program has not started, and
// without a file nothing of this package touches anything but a route that the client has lost; see routes.
type Keeper struct {
	File string // /perm/ramjet/network.json
	// Dir, in memory, is for what was there before the file was put to work, to have it back.
	Dir string
	// Resolver is the file that /etc/resolv.conf leads to.
	Resolver string
	// DHCP is gokrazy's client.
	DHCP string
	// Hostname is the file with the name that the image has.
	Hostname string
	Every    time.Duration // how often to look; 0 means 2 s
	Log      *slog.Logger  // nil means slog.Default()

	mu     sync.Mutex // one at a time touches the network
	now    *Config    // guarded by mu: what was put to work last; nil: nothing yet
	failed string     // guarded by mu: the last trouble that was logged
}

// before is what has to be had back when the file does not say it any more.
type before struct {
	Own      []string `json:"own"`      // interfaces that have addresses of the file
	Hostname bool     `json:"hostname"` // the name is of the file
	DNS      bool     `json:"dns"`      // so are the servers
}

// String names the task.
func (k *Keeper) String() string { return "network" }

// Check says what is wrong with a text. An interface has to be there, for a slip in its name would cut the box off.
func (k *Keeper) Check(_ context.Context, text []byte) error {
	c, err := Parse(k.File, text)
	if err != nil {
		return err
	}
	for _, i := range c.Interfaces {
		if i.VLAN > 0 && !hasVLANs() {
			return fmt.Errorf("%s: interfaces.%s: this kernel makes no VLANs: 8021q is neither in it nor loaded", k.File, i.Name)
		}
		name := cmp.Or(i.Parent, i.Name)
		if slices.ContainsFunc(c.Interfaces, func(other Interface) bool { return other.Name == name && other.VLAN > 0 }) {
			continue
		}
		if _, err := net.InterfaceByName(name); err != nil {
			return fmt.Errorf("%s: interfaces.%s: the box has no interface %s; it has %s", k.File, i.Name, name, strings.Join(names(), ", "))
		}
	}
	return nil
}

func names() []string {
	var all []string
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 {
			all = append(all, i.Name)
		}
	}
	return all
}

// Apply puts the file to work.
func (k *Keeper) Apply(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := k.read()
	if err != nil {
		return "", err
	}
	k.now = c
	if err := k.set(c); err != nil {
		return "", err
	}
	return fmt.Sprintf("the network is as %s says", k.File), nil
}

// again puts to work what was put to work last. The file may be another one by now, that somebody is about to try.
func (k *Keeper) again(ctx context.Context) error {
	k.mu.Lock()
	c := k.now
	k.mu.Unlock()
	if c == nil {
		_, err := k.Apply(ctx)
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set(k.now)
}

// Run puts the file to work at the start, and again whenever something else has changed the network, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(cmp.Or(k.Every, 2*time.Second))
	defer ticker.Stop()
	var lost routes
	for {
		mended, err := lost.mend()
		if len(mended) > 0 {
			cmp.Or(k.Log, slog.Default()).Warn("addresses had no route to their network: it is put back", "addresses", mended)
		}
		k.note(errors.Join(k.again(ctx), err))
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// note logs a trouble once.
func (k *Keeper) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != k.failed && text != "" {
		cmp.Or(k.Log, slog.Default()).Error("the network is not as its file says, trying again", "err", err)
	}
	k.failed = text
}

func (k *Keeper) read() (*Config, error) {
	text, err := durable.Read(k.File)
	if err != nil {
		return nil, err
	}
	return Parse(k.File, text)
}

// set has the network as c says. Called with mu held.
func (k *Keeper) set(c *Config) error {
	was := k.was()
	own := before{Hostname: c.Hostname != "", DNS: len(c.DNS) > 0}
	for _, i := range c.Interfaces {
		if !i.DHCP && len(i.Addresses) > 0 {
			own.Own = append(own.Own, i.Name)
		}
	}
	// What is ours is noted before and given back after, so that an end in between leaves nothing forgotten.
	both := before{Own: union(was.Own, own.Own), Hostname: was.Hostname || own.Hostname, DNS: was.DNS || own.DNS}
	if err := k.remember(was, both); err != nil {
		return err
	}
	err := errors.Join(k.setName(c, was), k.setResolver(c, was), removeVLANs(c.Interfaces), k.giveBack(was.Own, own.Own))
	for _, i := range c.Interfaces {
		err = errors.Join(err, setInterface(&i))
	}
	if err != nil {
		return err
	}
	return k.remember(both, own)
}

func setInterface(i *Interface) error {
	l, err := link(i)
	if err != nil {
		return err
	}
	if i.AcceptRA != nil {
		err = setAcceptRA(i.Name, *i.AcceptRA)
	}
	if i.DHCP || len(i.Addresses) == 0 {
		return err
	}
	if err := errors.Join(err, setAddresses(l, i.Addresses), setGateways(l, i.Gateways)); err != nil {
		return fmt.Errorf("%s: %w", i.Name, err)
	}
	return nil
}

// giveBack takes our addresses from the interfaces that have none of the file any more, and has DHCP begin anew.
func (k *Keeper) giveBack(was, own []string) error {
	var err error
	dhcp := false
	for _, name := range was {
		if slices.Contains(own, name) {
			continue
		}
		dhcp = dhcp || name == DHCPInterface
		l, e := netlink.LinkByName(name)
		if e != nil {
			continue // A VLAN that was removed.
		}
		err = errors.Join(err, setGateways(l, nil), setAddresses(l, nil))
	}
	if dhcp {
		err = errors.Join(err, endProcesses(k.DHCP))
	}
	return err
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (k *Keeper) stateFile() string { return filepath.Join(k.Dir, "network.json") }

func (k *Keeper) was() before {
	var was before
	if text, err := os.ReadFile(k.stateFile()); err == nil {
		_ = json.Unmarshal(text, &was)
	}
	return was
}

// remember writes what is ours, if that has changed.
func (k *Keeper) remember(was, now before) error {
	if slices.Equal(was.Own, now.Own) && was.Hostname == now.Hostname && was.DNS == now.DNS {
		return nil
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.Dir, 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(k.stateFile(), text, 0o644)
}

func (k *Keeper) setName(c *Config, was before) error {
	name := c.Hostname
	if name == "" {
		if !was.Hostname {
			return nil
		}
		text, err := os.ReadFile(k.Hostname)
		if err != nil {
			return err
		}
		name = strings.TrimSpace(string(text))
	}
	if now, err := os.Hostname(); err != nil || now == name {
		return err
	}
	return os.NewSyscallError("sethostname", syscall.Sethostname([]byte(name)))
}

// The first line of our resolv.conf. gokrazy's DHCP client leaves a file alone that somebody else says to have generated.
const generated = "# generated by ramjet\n"

// setResolver writes the DNS servers, and keeps what DHCP had written.
func (k *Keeper) setResolver(c *Config, was before) error {
	now, err := os.ReadFile(k.Resolver)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := bytes.HasPrefix(now, []byte(generated))
	kept := filepath.Join(k.Dir, "resolv.conf")
	if len(c.DNS) == 0 {
		if !was.DNS || !ours {
			return nil
		}
		old, err := os.ReadFile(kept)
		if errors.Is(err, fs.ErrNotExist) {
			return os.Remove(k.Resolver)
		} else if err != nil {
			return err
		}
		return renameio.WriteFile(k.Resolver, old, 0o644)
	}
	text := []byte(generated)
	for _, a := range c.DNS {
		text = fmt.Appendf(text, "nameserver %s\n", a)
	}
	if bytes.Equal(now, text) {
		return nil
	}
	if !ours && len(now) > 0 {
		if err := renameio.WriteFile(kept, now, 0o644); err != nil {
			return err
		}
	}
	return renameio.WriteFile(k.Resolver, text, 0o644)
}
