package trial

import (
	"cmp"
	"context"
	"time"

	"ramjet/appliance/durable"
)

// keep ends the trial: its change is for good. Called with mu held.
func (d *Desk) keep() error {
	c := d.now
	kept := c.record
	kept.Kept = true
	if err := d.writeRecord(&kept); err != nil {
		return err // The trial goes on: it can be confirmed again, or it is taken back.
	}
	d.now = nil
	d.ended(c, Confirmed)
	return nil
}

// takeBack ends the trial: the old file is written and put to work. Called from Run alone.
func (d *Desk) takeBack(ctx context.Context, c *current) {
	var err error
	for deadline := time.Now().Add(cmp.Or(d.Patience, 2*time.Minute)); ; {
		if err = d.restore(ctx, c); err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		d.log().Debug("the old state is not at work yet, trying again", "subject", c.Subject, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.log().Error("the old state could not be put to work; a start of the box does it", "subject", c.Subject, "err", err)
		c.why += "; and the old state could not be put to work: " + err.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = nil
	d.ended(c, Reverted)
}

func (d *Desk) restore(ctx context.Context, c *current) error {
	if err := durable.Write(c.subject.File, c.record.Old); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.ApplyTime, 40*time.Second))
	defer cancel()
	_, err := c.subject.Apply(ctx)
	return err
}

// ended writes the history, and removes the record. Called with mu held.
func (d *Desk) ended(c *current, how How) {
	entry := c.entry(how)
	d.log().Info("a change has ended", "subject", c.Subject, "id", c.ID, "who", c.Who, "how", how, "why", c.why)
	if err := d.addEntry(c.subject, entry, c.record.New); err != nil {
		d.log().Error("the history is not complete", "err", err)
	}
	if err := durable.Remove(d.recordFile()); err != nil {
		d.broken = err // At the next start it would be taken back, or completed, again.
		d.log().Error("nothing can be changed any more", "err", err)
	}
	if d.Ended != nil {
		d.Ended(entry)
	}
}

func (c *current) entry(how How) Entry {
	e := Entry{ID: c.ID, Subject: c.Subject, Who: c.Who, From: c.From, Note: c.Note, Began: c.Since, Ended: time.Now(), How: how, Said: c.Said, Absent: c.record.New == nil}
	if how == Reverted {
		e.Why = c.why
	}
	return e
}
