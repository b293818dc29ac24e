package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// target is one of the promises.
type target struct {
	what, bound, measured string
	met                   bool
}

// report is RESULTS.md.
func report(all []published, f flipped, rounds int) string {
	var out strings.Builder
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(&out, "# How fast publishing is\n\n%d cores, Linux %s; %d rounds. `go run ./appliance/publish/bench` measures it anew and writes this page.\n\n",
		runtime.NumCPU(), strings.TrimSpace(string(kernel)), rounds)
	fmt.Fprintf(&out, "| case | target | measured | |\n|---|---|---|---|\n")
	for _, t := range targets(all, f) {
		met := "missed"
		if t.met {
			met = "met"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", t.what, t.bound, t.measured, met)
	}
	fmt.Fprintf(&out, `
How it is measured: appliance and accelerator run in a network namespace of their own, as on any Linux, joined with that of the
publisher by a veth pair; beside them rsync's daemon. Both write to the same ext4, new, in a file of this machine's disk (a loop
device), so that nothing depends on what was deleted there before. A round begins with an empty box and an empty module of rsync, and after it everything that has arrived is compared with what was sent. The commands are
`+"`appliance publish -compress=false`"+` and `+"`rsync -a --whole-file --delete`"+`, timed from start to end, starting turn and turn about; ratios
are formed within a round, and the median of those is taken. rsync sends in the clear and does not wait for the disk; publish encrypts,
hashes on both sides, and ends when everything is on the disk and the accelerator serves it. The column "on disk" is rsync and
a sync(2) behind it; against that, the first publishing takes %.2f × and one after a change %.2f ×.

A flip is `+"`appliance rollback ID`"+` between two releases of %d files (%d MB) of which one differs, a rollback the way back. It is timed
from the start of the command to the first answer of the other release, asked for over and over, and until the command has ended. Memory is
the peak of the accelerator's resident set during the flip, less what it was before; a snapshot is what the site made it grow by.

| round | publish, s | rsync, s | on disk | ratio | again, s | rsync, s | on disk | ratio |
|---|---|---|---|---|---|---|---|---|
`, medianOf(all, func(p published) float64 { return p.first.durable() }), medianOf(all, func(p published) float64 { return p.again.durable() }),
		f.files, flipBytes>>20)
	for i, p := range all {
		fmt.Fprintf(&out, "| %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", i+1,
			p.first.publish.Seconds(), p.first.rsync.Seconds(), p.first.synced.Seconds(), p.first.ratio(),
			p.again.publish.Seconds(), p.again.rsync.Seconds(), p.again.synced.Seconds(), p.again.ratio())
	}
	fmt.Fprintf(&out, "\n| round | flip, ms | command | MB more | rollback, ms | command | MB more |\n|---|---|---|---|---|---|---|\n")
	for i, forth := range f.forth {
		back := f.back[i]
		fmt.Fprintf(&out, "| %d | %d | %d | %.1f | %d | %d | %.1f |\n", i+1, forth.first.Milliseconds(), forth.command.Milliseconds(), mb(forth.growth),
			back.first.Milliseconds(), back.command.Milliseconds(), mb(back.growth))
	}
	fmt.Fprintf(&out, "\nWhere the time goes: [PROFILE.md](PROFILE.md).\n")
	fmt.Fprintf(&out, "\nThe snapshot takes %.0f MB. The first publishing of these %d files took %.1f s.\n", mb(f.snapshot), f.files, f.publishSeconds)
	return out.String()
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

// ratio compares with rsync, durable with rsync once all is on the disk.
func (t took) ratio() float64   { return t.publish.Seconds() / t.rsync.Seconds() }
func (t took) durable() float64 { return t.publish.Seconds() / t.synced.Seconds() }

// targets compares with what was promised.
func targets(all []published, f flipped) []target {
	first := medianOf(all, func(p published) float64 { return p.first.ratio() })
	again := medianOf(all, func(p published) float64 { return p.again.ratio() })
	seconds := medianOf(all, func(p published) float64 { return p.again.publish.Seconds() })
	milliseconds := func(f flip) float64 { return float64(f.first) / float64(time.Millisecond) }
	forth, back := medianOf(f.forth, milliseconds), medianOf(f.back, milliseconds)
	growth := medianOf(f.forth, func(one flip) float64 { return float64(one.growth) / float64(f.snapshot) })
	site := fmt.Sprintf("%d files, %d MB", siteFiles, siteBytes>>20)
	return []target{
		{"publish " + site + ", first time", "≤ 1.2 × rsync", fmt.Sprintf("%.2f ×", first), first <= 1.2},
		{"publish again after one file changed", "≤ 1 s", fmt.Sprintf("%.2f s", seconds), seconds <= 1},
		{"publish again after one file changed", "≤ 0.5 × rsync", fmt.Sprintf("%.2f ×", again), again <= 0.5},
		{fmt.Sprintf("flip to the first answer, %d files", f.files), "≤ 300 ms", fmt.Sprintf("%.0f ms", forth), forth <= 300},
		{"memory during it", "≤ 60 % of a snapshot", fmt.Sprintf("%.0f %%", 100*growth), growth <= 0.6},
		{"rollback to the first answer", "≤ 300 ms", fmt.Sprintf("%.0f ms", back), back <= 300},
	}
}

func medianOf[T any](all []T, of func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = of(one)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
