package main

import (
	"net"
	"slices"
	"testing"
)

// Of this machine's own addresses only those that others can use are told.
func TestMachineAddresses(t *testing.T) {
	got, err := machineAddresses()
	if err != nil {
		t.Fatal(err)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range got {
		ip := net.ParseIP(address)
		if ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			t.Errorf("%q is told", address)
		}
		if !slices.ContainsFunc(all, func(a net.Addr) bool { return a.(*net.IPNet).IP.Equal(ip) }) {
			t.Errorf("%q is not an address of this machine", address)
		}
	}
	if !slices.IsSorted(got) {
		t.Errorf("%q is in no order: it would look changed each time", got)
	}
}

func TestURLs(t *testing.T) {
	got := urls([]string{"192.0.2.1", "2001:db8::1"})
	if want := []string{"http://192.0.2.1/", "http://[2001:db8::1]/"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
