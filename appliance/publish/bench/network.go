package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// The addresses of both ends (RFC 2544: for benchmarks).
const (
	here  = "198.18.0.1"
	there = "198.18.0.2"
)

// network is a namespace for the servers, joined with ours by a veth pair.
type network struct{ namespace, link string }

// join makes it.
func join(ctx context.Context) (*network, error) {
	n := &network{fmt.Sprintf("ramjet-%d", os.Getpid()), fmt.Sprintf("rj%d", os.Getpid())}
	for _, words := range []string{
		"netns add " + n.namespace,
		"link add " + n.link + " type veth peer name eth0 netns " + n.namespace,
		"address add " + here + "/30 dev " + n.link,
		"link set " + n.link + " up",
		"-n " + n.namespace + " address add " + there + "/30 dev eth0",
		"-n " + n.namespace + " link set eth0 up",
		"-n " + n.namespace + " link set lo up",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(words)...).CombinedOutput(); err != nil {
			n.part()
			return nil, fmt.Errorf("ip %s: %w: %s", words, err, strings.TrimSpace(string(out)))
		}
	}
	return n, nil
}

// part removes it, and with it the pair.
func (n *network) part() { _ = exec.Command("ip", "netns", "delete", n.namespace).Run() }

// inside is a command that runs on the far side.
func (n *network) inside(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.namespace, name}, args...)...)
}
