package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/durable"
)

// keep is how many entries of a subject are kept.
const keepEntries = 50

// How a change ended.
type How string

const (
	Confirmed How = "confirmed"
	Reverted  How = "reverted"
	Found     How = "found" // it was no trial: somebody else had written the file before one began
)

// Entry is one change in the history, without its text.
type Entry struct {
	ID      int       `json:"id"`
	Subject string    `json:"subject"`
	Who     string    `json:"who,omitempty"`
	From    string    `json:"from,omitempty"`
	Note    string    `json:"note,omitempty"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	How     How       `json:"how"`
	Why     string    `json:"why,omitempty"`
	Said    string    `json:"said,omitempty"`
	Absent  bool      `json:"absent,omitempty"` // it was that there is no such file
}

// ErrNoEntry is the answer to an ID that is not in the history.
var ErrNoEntry = errors.New("there is no such entry in the history")

func (d *Desk) historyDir(s *Subject) string { return filepath.Join(d.Dir, s.Name) }

func entryFile(dir string, id int) string { return filepath.Join(dir, fmt.Sprintf("%06d", id)) }

// ids are those of a subject's entries, the oldest first.
func (d *Desk) ids(s *Subject) ([]int, error) {
	files, err := os.ReadDir(d.historyDir(s))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []int
	for _, f := range files {
		name, is := strings.CutSuffix(f.Name(), ".json")
		if id, err := strconv.Atoi(name); is && err == nil && id > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// History returns a subject's entries, the newest first. One that cannot be read is left out.
func (d *Desk) History(s *Subject) ([]Entry, error) {
	ids, err := d.ids(s)
	all := []Entry{}
	for _, id := range slices.Backward(ids) {
		text, err := durable.Read(entryFile(d.historyDir(s), id) + ".json")
		var e Entry
		if err != nil || json.Unmarshal(text, &e) != nil {
			d.log().Warn("an entry of the history cannot be read", "subject", s.Name, "id", id, "err", err)
			continue
		}
		all = append(all, e)
	}
	return all, err
}

// Entry returns one of them, and its text: nil if it was that there is no such file.
func (d *Desk) Entry(s *Subject, id int) (Entry, []byte, error) {
	var e Entry
	name := entryFile(d.historyDir(s), id)
	meta, err := durable.Read(name + ".json")
	switch {
	case err != nil:
		return e, nil, err
	case meta == nil:
		return e, nil, ErrNoEntry
	}
	if err := json.Unmarshal(meta, &e); err != nil {
		return e, nil, fmt.Errorf("entry %d of the history is broken: %w", id, err)
	}
	if e.Absent {
		return e, nil, nil
	}
	text, err := durable.Read(name + ".text")
	if err == nil && text == nil {
		err = fmt.Errorf("entry %d of the history has lost its text", id)
	}
	return e, text, err
}

// addEntry adds an entry, or writes the same one again, and forgets the oldest.
func (d *Desk) addEntry(s *Subject, e Entry, text []byte) error {
	dir := d.historyDir(s)
	if err := durable.MakeDir(dir); err != nil {
		return err
	}
	meta, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	name := entryFile(dir, e.ID)
	if err := errors.Join(durable.Write(name+".text", text), durable.Write(name+".json", append(meta, '\n'))); err != nil {
		return err
	}
	ids, err := d.ids(s)
	for _, old := range ids[:max(0, len(ids)-keepEntries)] {
		err = errors.Join(err, durable.Remove(entryFile(dir, old)+".json"), durable.Remove(entryFile(dir, old)+".text"))
	}
	return err
}

// found adds what is in the file, if that is not what the last confirmed change left, so that it can be had back. It
// returns the ID of the next entry.
func (d *Desk) found(s *Subject, now []byte) (int, error) {
	entries, err := d.History(s)
	if err != nil {
		return 0, err
	}
	next := 1
	if ids, err := d.ids(s); err != nil {
		return 0, err
	} else if len(ids) > 0 {
		next = ids[len(ids)-1] + 1
	}
	for _, e := range entries {
		if e.How == Reverted {
			continue
		}
		_, text, err := d.Entry(s, e.ID)
		if err == nil && bytes.Equal(text, now) && (text == nil) == (now == nil) {
			return next, nil
		}
		break
	}
	at := time.Now()
	return next + 1, d.addEntry(s, Entry{ID: next, Subject: s.Name, Began: at, Ended: at, How: Found, Absent: now == nil}, now)
}
