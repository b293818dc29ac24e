package recorder

import (
	"fmt"
	"time"
)

// open opens the ring, if it is not, and looks at how the last start of the machine has ended. Called with disk held.
func (r *Recorder) open() error {
	if r.ring != nil {
		return nil
	}
	boot, err := parseBoot(r.Boot)
	if err != nil {
		return err
	}
	ring, all, err := openRing(r.Ring, boot, ringBlocks)
	if err != nil {
		return err
	}
	r.mu.Lock()
	known := r.last != nil
	r.mu.Unlock()
	if !known {
		run, err := r.look(all, boot)
		if err != nil {
			ring.close()
			return err
		}
		r.mu.Lock()
		r.last = &run
		r.mu.Unlock()
	}
	r.ring = ring
	return nil
}

// look says how the last start of the machine ended, and keeps it if that was no clean end. If this start has blocks
// already, the program was started again; then what it found out before is in one of them.
func (r *Recorder) look(all []block, boot [16]byte) (Run, error) {
	if len(all) == 0 {
		run := Run{Clean: true, Why: "this is the first start that is recorded"}
		r.started(run)
		return run, nil
	}
	last := all[len(all)-1]
	records := decode(last.records)
	if last.boot == boot {
		return r.again(all, records)
	}
	run := Run{Boot: formatBoot(last.boot), Clean: false, Why: "no clean end: a power cut, a crash or a reset of the machine"}
	if n := len(records); n > 0 {
		run.Ended = records[n-1].When()
		if records[n-1].End != "" {
			run.Clean, run.Why = true, records[n-1].End
		}
	}
	if !run.Clean {
		id, err := r.store(all, last.boot, run.Why)
		if err != nil {
			return run, err
		}
		run.Flight = id
	}
	r.started(run)
	return run, nil
}

// again is look after a start of the program alone.
func (r *Recorder) again(all []block, records []Record) (Run, error) {
	n := len(records)
	if n == 0 || records[n-1].End == "" {
		r.Note("recorder", "", "the appliance was started again: it had ended without a word")
		if _, err := r.store(all, all[len(all)-1].boot, "the appliance has ended without a word: a crash"); err != nil {
			return Run{}, err
		}
	} else {
		r.Note("recorder", "", "the appliance was started again: it had been asked to end")
	}
	for i := len(all) - 2; i >= 0; i-- { // What was before this start of the machine, if the ring has it still.
		if b := all[i]; b.boot != all[len(all)-1].boot {
			run := Run{Boot: formatBoot(b.boot), Why: "no clean end: a power cut, a crash or a reset of the machine"}
			if before := decode(b.records); len(before) > 0 {
				run.Ended = before[len(before)-1].When()
				if end := before[len(before)-1].End; end != "" {
					run.Clean, run.Why = true, end
				}
			}
			run.Flight = r.flightOf(run.Boot)
			return run, nil
		}
	}
	return Run{Clean: true, Why: "this start of the machine is as far as the recorder goes back"}, nil
}

// started is the first that is recorded of a start of the machine. It is written with the next turn: until then a start of
// the program finds the same out once more.
func (r *Recorder) started(before Run) {
	text := fmt.Sprintf("the machine was started, version %s; the start before: %s", r.Version, before.Why)
	if !before.Ended.IsZero() {
		text += ", last heard of at " + before.Ended.Format(time.RFC3339)
	}
	r.Note("recorder", "", text)
}
