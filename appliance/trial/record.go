package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ramjet/appliance/durable"
)

// record is what survives.
type record struct {
	Subject string    `json:"subject"`
	ID      int       `json:"id"`
	Who     string    `json:"who"`
	From    string    `json:"from,omitempty"`
	Note    string    `json:"note,omitempty"`
	Since   time.Time `json:"since"`
	Old     []byte    `json:"old"` // null: there was none
	New     []byte    `json:"new"`
	Kept    bool      `json:"kept"`
	Said    string    `json:"said,omitempty"`
}

func (d *Desk) recordFile() string { return filepath.Join(d.Dir, "trial.json") }

// Open reads the record of a trial that was cut off, and writes the old text back at once. It comes before everything
// else. After an error nothing can be changed.
func (d *Desk) Open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake = make(chan struct{}, 1)
	d.base, d.stop = context.WithCancel(context.Background())
	d.broken = d.open()
	return d.broken
}

func (d *Desk) open() error {
	if err := durable.MakeDir(d.Dir); err != nil {
		return err
	}
	text, err := durable.Read(d.recordFile())
	if err != nil || text == nil {
		return err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		aside := d.recordFile() + ".broken"
		d.log().Error("the record of a trial cannot be read; what it was about stays as it is", "moved to", aside, "err", err)
		return errors.Join(os.Rename(d.recordFile(), aside), durable.SyncDir(d.Dir))
	}
	s := d.subject(r.Subject)
	if s == nil {
		return fmt.Errorf("%s is about %q, which this version does not know", d.recordFile(), r.Subject)
	}
	d.now = &current{subject: s, record: r, Trial: r.trial(Ending), why: "the box, or its appliance, was started anew before it was confirmed"}
	if r.Kept {
		return d.keep()
	}
	d.log().Warn("a trial was cut off, taking it back", "subject", r.Subject, "who", r.Who, "since", r.Since)
	d.poke()
	return durable.Write(s.File, r.Old)
}

func (r *record) trial(state State) Trial {
	return Trial{Subject: r.Subject, ID: r.ID, Who: r.Who, From: r.From, Note: r.Note, Since: r.Since, Said: r.Said, State: state}
}

func (d *Desk) writeRecord(r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.Write(d.recordFile(), text)
}
