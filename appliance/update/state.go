package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ramjet/appliance/durable"
)

// State is what the box remembers of its updates, in one file on /perm that is always replaced whole.
type State struct {
	// Trial is the update that waits for its start, or is under way.
	Trial *Trial `json:"trial,omitempty"`
	// Spare is what the partitions hold that are not in use, if it is whole: the last version, or the next one.
	Spare *Version `json:"spare,omitempty"`
	// Confirmed is the trial that the running version came by.
	Confirmed string `json:"confirmed,omitempty"`
	// Signed is when the list of the newest signed update was made that the box has confirmed.
	Signed time.Time `json:"signed,omitzero"`
	// History has the last updates, the newest last.
	History []Outcome `json:"history"`
}

// Version is a root and the boot file system that goes with it.
type Version struct {
	Root int    `json:"root"`           // the partition
	Name string `json:"name,omitempty"` // what the programs say; known when they have run
	Hash string `json:"hash,omitempty"` // of the root, sha256
	// First is the first sector of the boot partition, and Record the master boot record, with which the box starts this
	// version. Without them its kernel is the one in use.
	First  []byte `json:"first,omitempty"`
	Record []byte `json:"record,omitempty"`
	// Proven says that the box has run it, until an update that somebody sent took its place.
	Proven bool `json:"proven,omitempty"`
}

// String names a version for people.
func (v Version) String() string {
	switch {
	case v.Name != "":
		return v.Name
	case len(v.Hash) > 12:
		return "root " + v.Hash[:12]
	}
	return fmt.Sprintf("root partition %d", v.Root)
}

// Trial is one start of the spare version.
type Trial struct {
	ID       string    `json:"id"`
	From     Version   `json:"from"`
	To       Version   `json:"to"`
	InPlace  bool      `json:"in_place,omitempty"` // its kernel has to be written over the one in use: there is no room for two
	Switched time.Time `json:"switched"`
	Started  bool      `json:"started"`          // the new kernel was loaded and is being started
	Commit   bool      `json:"commit"`           // it was found healthy, and is being made the one that the box starts
	Reason   string    `json:"reason,omitempty"` // why it was given up
	Signed   time.Time `json:"signed,omitzero"`  // when its list was made, if it had one
	Back     bool      `json:"back,omitempty"`   // to the version before, and no update
	Why      string    `json:"why,omitempty"`    // the box began it by itself, for that reason
	// Before is how the box was when the update was asked for, in the words of Health.
	Before json.RawMessage `json:"before,omitempty"`
}

// Outcome is an update that is over.
type Outcome struct {
	When    time.Time `json:"when"`
	ID      string    `json:"id"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Outcome string    `json:"outcome"` // confirmed, reverted, not started
	Reason  string    `json:"reason,omitempty"`
}

// maxHistory bounds the file.
const maxHistory = 50

// end writes the end of the trial into the history.
func (s *State) end(outcome, reason string) Outcome {
	t := s.Trial
	o := Outcome{When: time.Now().UTC().Truncate(time.Second), ID: t.ID, From: t.From.String(), To: t.To.String(), Outcome: outcome, Reason: reason}
	s.History = append(s.History, o)
	if extra := len(s.History) - maxHistory; extra > 0 {
		s.History = s.History[extra:]
	}
	s.Trial = nil
	return o
}

// load reads the state. That there is none, or one that nobody can read, is a box without updates so far.
func load(path string) (State, error) {
	var s State
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// save replaces the state, and returns when the disk has it.
func (s State) save(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	return durable.Write(path, append(text, '\n'))
}
