package main

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/gokrazy/gokrazy/ifaddr"
)

// addresses is the task that says where the box can be reached, whenever that changes: on the console of a box
// without a name in the DNS, and in its log, this is what its owner looks for first.
type addresses struct {
	every time.Duration            // how often to look
	list  func() ([]string, error) // the addresses of all interfaces that are up
}

// newAddresses returns the task for this machine.
func newAddresses() *addresses { return &addresses{every: 2 * time.Second, list: machineAddresses} }

// String names the task.
func (a *addresses) String() string { return "addresses" }

// Run looks until ctx ends. Interfaces that cannot be listed are no reason to end: it looks again.
func (a *addresses) Run(ctx context.Context) error {
	ticker := time.NewTicker(a.every)
	defer ticker.Stop()
	var known []string
	for {
		now, err := a.list()
		if err != nil {
			slog.Debug("the addresses of the box cannot be listed", "err", err)
		} else if !slices.Equal(now, known) {
			slog.Info("the box answers at", "urls", urls(now))
			known = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// machineAddresses lists private and public addresses, in a stable order, without those that only the box itself can use.
func machineAddresses() ([]string, error) {
	private, err := ifaddr.PrivateInterfaceAddrs()
	if err != nil {
		return nil, err
	}
	public, err := ifaddr.PublicInterfaceAddrs()
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(append(private, public...), func(address string) bool {
		ip := net.ParseIP(address)
		return ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast()
	})
	slices.Sort(all)
	return slices.Compact(all), nil
}

func urls(addresses []string) []string {
	all := []string{}
	for _, address := range addresses {
		if net.ParseIP(address).To4() == nil {
			address = "[" + address + "]"
		}
		all = append(all, "http://"+address+"/")
	}
	return all
}
