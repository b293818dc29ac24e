// Package cold is the story of a box whose content is on a slow card: who asks
// for what is in memory does not notice those who wait for the card.
package cold

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/qemu"
)

const (
	// hotFiles and hotSize are what is asked for all the time, from memory.
	hotFiles = 20
	hotSize  = 4 << 10
	// coldFiles and coldSize are read from the card, each once: there are more than
	// the card yields in the time, and there is no reading ahead into another file.
	coldFiles = 700
	coldSize  = 64 << 10

	// roundTime is the time of a round; rounds with and without cold requests
	// alternate.
	roundTime  = 3 * time.Second
	hotClients = 4
	// hotEvery is the pace of each hot client. Three cold requests for seven hot
	// ones are then as many as the card can do, and they queue for it.
	hotEvery    = 55 * time.Millisecond
	coldClients = 24 // more than a server has helpers to read with
)

// slowCard is the card: 2 MB and 50 reads a second.
var slowCard = qemu.Throttle{BytesRead: 2e6, Reads: 50}

// settings keep the hot files in memory and the cold ones on the card.
const settings = `{"content": {"memory": "1MiB", "memory_per_file": "16KiB"}, "eventloop": {"disabled": %v}}`

func hotName(i int) string  { return fmt.Sprintf("hot%d.txt", i%hotFiles) }
func coldName(i int) string { return fmt.Sprintf("cold%d.txt", i) }

// body is what a file of that name and size says.
func body(name string, size int) []byte {
	line := []byte(name + " says what only it says\n")
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

func TestCold(t *testing.T) {
	tree := vmtest.TempDir(t)
	write := func(name string, size int) {
		if err := os.WriteFile(filepath.Join(tree, name), body(name, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range hotFiles {
		write(hotName(i), hotSize)
	}
	for i := range coldFiles {
		write(coldName(i), coldSize)
	}
	t.Run("with the event loops", func(t *testing.T) {
		without, with := latencies(t, tree, false, 4)
		// A loop that waits for the card stands still for 30 ms at the least, the time
		// of one read, and for half a second while all clients queue. What is allowed
		// beyond the ratio is the emulation's: one thread of QEMU moves the bytes of
		// the network and the disks, and cold answers are bytes, too.
		const noise = 2 * time.Millisecond
		if without > 20*time.Millisecond {
			t.Log("this machine has other work to do, and stalls of its own hide those of the box")
		}
		if with > 2*without+noise {
			t.Errorf("with cold requests the hot ones take %v, without %v", with, without)
		}
	})
	// For comparison: nothing is demanded of it.
	t.Run("without the event loops", func(t *testing.T) { latencies(t, tree, true, 2) })
}

// latencies boots a box and returns the 99th percentile of the time that a hot
// request takes without cold ones, and with: medians of so many rounds of each.
func latencies(t *testing.T, tree string, disabled bool, rounds int) (without, with time.Duration) {
	disk := vmtest.ContentDisk(t, tree, map[string]string{"ramjet.json": fmt.Sprintf(settings, disabled)})
	box := vmtest.Boot(t, vmtest.Config{Content: disk, Alone: true})
	box.WaitUp("/" + hotName(0))
	if err := box.Machine.SlowDisk(t.Context(), qemu.ContentID, slowCard); err != nil {
		t.Fatal(err)
	}
	l := newLoad(t, box)
	l.round(t, true) // So that all that is done once has been done: code is on a disk, too.
	var p99 [2][]time.Duration
	for range rounds {
		for kind, cold := range []bool{false, true} {
			before := bytesRead(t, box)
			r := l.round(t, cold)
			read := bytesRead(t, box) - before
			t.Log(r, fmt.Sprintf("%.1f MB from the card", float64(read)/1e6))
			if asked := int64(r.cold * coldSize); read < asked*9/10 {
				t.Errorf("%d bytes were read for %d cold ones: they were not cold", read, asked)
			}
			if share := float64(r.cold) / float64(r.cold+len(r.hot)); cold && share < 0.25 {
				t.Errorf("only %.0f %% of the requests were cold", 100*share)
			}
			p99[kind] = append(p99[kind], r.percentile(99))
		}
	}
	without, with = median(p99[0]), median(p99[1])
	t.Logf("p99 of hot requests, median of %d rounds: %v without cold ones, %v with", rounds, without, with)
	return without, with
}

func bytesRead(t *testing.T, box *vmtest.Box) int64 {
	t.Helper()
	n, err := box.Machine.BytesRead(t.Context(), qemu.ContentID)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// median of an even number: the lower one in the middle.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)/2]
}
