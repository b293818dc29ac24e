//go:build race

package main

// underRace tells whether the tests run under the race detector: the programs
// that they start then do, too.
const underRace = true
