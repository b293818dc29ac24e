package network

import (
	"strings"
	"testing"
)

// A route that went although its address is there comes back, and with it the way to the router.
func TestRoutes(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "set", "eth0", "up")
	ip(t, "address", "add", "192.0.2.7/24", "dev", "eth0")
	ip(t, "address", "add", "198.51.100.1/32", "dev", "eth0")
	var r routes
	for range 3 {
		if mended, err := r.mend(); err != nil || mended != nil {
			t.Fatalf("nothing is missing: %v, %v", mended, err)
		}
	}
	ip(t, "route", "del", "192.0.2.0/24")
	if mended, err := r.mend(); err != nil || mended != nil {
		t.Fatalf("at the first look: %v, %v", mended, err)
	}
	if mended, err := r.mend(); err != nil || len(mended) != 1 || mended[0].String() != "192.0.2.7/24" {
		t.Fatalf("at the second look: %v, %v", mended, err)
	}
	if got := ip(t, "route", "show", "192.0.2.0/24"); !strings.Contains(got, "proto kernel scope link src 192.0.2.7 metric 1") {
		t.Errorf("%q", got)
	}
	ip(t, "route", "add", "default", "via", "192.0.2.1")
	if mended, err := r.mend(); err != nil || mended != nil {
		t.Errorf("it is there: %v, %v", mended, err)
	}
	ip(t, "route", "del", "192.0.2.0/24") // And is down before the next look.
	ip(t, "link", "set", "eth0", "down")
	for range 3 {
		if mended, err := r.mend(); err != nil || mended != nil {
			t.Errorf("of an interface that is down: %v, %v", mended, err)
		}
	}
}
