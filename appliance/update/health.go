package update

import (
	"context"
	"encoding/json"
	"errors"
)

// Health says how the box is. What it knows of the time before an update is its own matter: the state keeps it over the
// start of the new version. Package health has the one that the box uses.
type Health interface {
	// Look says how the box is before an update.
	Look(ctx context.Context) json.RawMessage
	// Known is what is known of the time when all was well.
	Known() json.RawMessage
	// Check says what is wrong that was not wrong before, or nil. An error with a method Hopeless() bool that returns
	// true is one that no further look will take back.
	Check(ctx context.Context, before json.RawMessage) error
}

// sure reports whether an error is for good.
func sure(err error) bool {
	var h interface{ Hopeless() bool }
	return errors.As(err, &h) && h.Hopeless()
}
