package trial

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Subject is a file that can be changed, and what else a change takes.
type Subject struct {
	Name string // in history and messages, such as "config"
	File string
	// Check says what is wrong with a text, before anything is touched.
	Check func(ctx context.Context, text []byte) error
	// Apply puts the file, as it is, to work, and says what happened. An error takes the change back. It may be called
	// for the same file more than once.
	Apply func(ctx context.Context) (string, error)
	// Cuts is true if Apply may cut off whoever asked for the change: he has his answer before.
	Cuts bool
}

// Change is what somebody wants.
type Change struct {
	Subject *Subject
	Text    []byte                // nil: no such file
	Match   func(now []byte) bool // nil: whatever there is
	Who     string                // who may confirm it
	From    string                // his address
	Note    string
	Within  time.Duration // the time to confirm it
}

// Trial is a change that is not confirmed yet.
type Trial struct {
	Subject string    `json:"subject"`
	ID      int       `json:"id"` // of its entry in the history, once it has ended
	Who     string    `json:"who"`
	From    string    `json:"from,omitempty"`
	Note    string    `json:"note,omitempty"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero until it has been put to work
	Said    string    `json:"said,omitempty"` // by what put it to work
	State   State     `json:"state"`
}

// State is how far a trial is.
type State string

const (
	Applying State = "being applied"
	Waiting  State = "waiting for its confirmation"
	Ending   State = "being reverted"
)

// The answers to what cannot be done.
var (
	ErrNone       = errors.New("there is nothing to confirm or to revert")
	ErrNotYours   = errors.New("somebody else began this")
	ErrNotYet     = errors.New("it is not at work yet, or not any more; look at its state")
	ErrConnection = errors.New("confirm over a new connection, begun after the change was put to work: that is the proof that the box can still be reached")
	ErrChanged    = errors.New("somebody else changed it since you looked; look again")
	ErrSame       = errors.New("nothing would change")
)

// Busy is the answer to a change while another one is on.
type Busy struct{ Trial }

func (b Busy) Error() string {
	text := fmt.Sprintf("a change of %s by %s is %s", b.Subject, b.Who, b.State)
	if b.State == Waiting {
		text += ", until " + b.Until.UTC().Format(time.RFC3339)
	}
	return text + "; try again then"
}

// Mistake is a text that cannot be tried. Nothing was touched.
type Mistake struct{ Err error }

func (m Mistake) Error() string { return m.Err.Error() }
func (m Mistake) Unwrap() error { return m.Err }

// Refused is a change that could not be put to work, and that is taken back.
type Refused struct{ Err error }

func (r Refused) Error() string { return "taken back: " + r.Err.Error() }
func (r Refused) Unwrap() error { return r.Err }
