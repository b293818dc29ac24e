package main

import (
	"errors"

	"ramjet/accelerator/bench/peer"
)

// cores shares out the machine: the servers have the first ones, the client has
// the last one.
type cores []int

func findCores() (cores, error) {
	all, err := peer.Cores()
	if err != nil {
		return nil, err
	}
	if len(all) < 2 {
		return nil, errors.New("the benchmark needs two cores, one for the servers and one for the client; this process may use one only")
	}
	return all, nil
}

// servers are the cores for a server with so many loops.
func (c cores) servers(loops int) []int { return c[:min(loops, len(c))] }

// client are the cores for the client beside such a server. Where the server
// needs all there are, the client runs on whichever is less busy.
func (c cores) client(loops int) []int {
	if loops >= len(c) {
		return c
	}
	return c[len(c)-1:]
}
