package main

import (
	"slices"
	"testing"
)

func TestMissing(t *testing.T) {
	wanted := []need{
		{"no-such-program", "package-a"}, {"/no/such/file", "package-b"}, {"no-such-other", "package-a"},
		{"sh", "dash"}, {"/proc/self/status", "linux"},
	}
	if got := missing(wanted); !slices.Equal(got, []string{"package-a", "package-b"}) {
		t.Errorf("missing: %q, want package-a and package-b", got)
	}
	if got := missing(nil); got != nil {
		t.Errorf("missing of nothing: %q", got)
	}
}
