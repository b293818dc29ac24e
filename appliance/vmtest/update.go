package vmtest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/update"
)

// Update is the stock "gok update": it builds the box's image anew with
// another version and sends it to the running box, which restarts. The error
// contains the end of what gok printed.
func (b *Box) Update(ctx context.Context, version string) error {
	return b.UpdateTo(ctx, version, nil)
}

// UpdateTo is Update with a configuration that edit has changed.
func (b *Box) UpdateTo(ctx context.Context, version string, edit func(config map[string]any)) error {
	b.expectReboot()
	spec := *Image(b.t, b.config.Board)
	log := &tail{}
	spec.Name, spec.Version, spec.Host, spec.Log = "update-"+b.config.Board, version, b.Address(), log
	spec.Edit = edit
	if err := instance.Update(ctx, &spec); err != nil {
		return &updateError{err, log.String()}
	}
	return nil
}

type updateError struct {
	err error
	log string
}

func (e *updateError) Error() string { return e.err.Error() + "\n" + e.log }
func (e *updateError) Unwrap() error { return e.err }

// Version returns what the accelerator on the box says its version is.
func (b *Box) Version() string {
	b.t.Helper()
	line := b.WaitLog("accelerator", 30*time.Second, `msg="ramjet accelerator"`, "version=")
	_, after, _ := strings.Cut(line, "version=")
	version, _, _ := strings.Cut(after, " ")
	return version
}

// UpdateStatus is what the box says of its updates.
func (b *Box) UpdateStatus() update.Status {
	b.t.Helper()
	var s update.Status
	if err := json.Unmarshal(b.control(http.MethodGet, "/update/status", nil), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}
