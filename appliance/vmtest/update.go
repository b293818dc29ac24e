package vmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"ramjet/appliance/access"
	"ramjet/appliance/image/instance"
	"ramjet/appliance/update"
	"ramjet/appliance/update/signed"
)

// Update is the stock "gok update": it builds the box's image anew with
// another version and sends it to the running box, which restarts. It returns
// when that version runs, or with an error that contains the end of what gok
// printed.
//
// A helper on the box sends what is on /perm instead, one of Config's Updates:
// an emulated Raspberry Pi's network takes eight minutes for one.
func (b *Box) Update(ctx context.Context, version string) error {
	b.expectReboot()
	if _, kept := b.config.Updates[version]; kept && b.config.Helper {
		return b.updateFromPerm(ctx, version)
	}
	spec := b.next(version)
	log := &tail{}
	spec.Host, spec.Log = b.Address(), log
	if err := instance.Update(ctx, &spec); err != nil {
		return &updateError{err, log.String()}
	}
	return nil
}

// next is the instance of another version.
func (b *Box) next(version string) instance.Spec {
	spec := *Image(b.t, b.config.Board)
	spec.Name, spec.Version, spec.Edit = "update-"+b.config.Board, version, b.config.Updates[version]
	if b.config.Helper {
		spec.Edit = withHelper(b.t, spec.Edit)
	}
	return spec
}

// putUpdates puts what Update will send on /perm.
func (b *Box) putUpdates() {
	b.t.Helper()
	for version := range b.config.Updates {
		spec, log, dir := b.next(version), &tail{}, TempDir(b.t)
		spec.Log = log
		if err := instance.Parts(b.t.Context(), &spec, dir); err != nil {
			b.t.Fatal(&updateError{err, log.String()})
		}
		for _, part := range signed.Parts {
			writePerm(b.t, b.Disk, version+"/"+part, filepath.Join(dir, part))
		}
	}
}

// updateFromPerm has the helper send an update, and waits for its end.
func (b *Box) updateFromPerm(ctx context.Context, version string) error {
	before, err := b.updateStatus(ctx)
	if err != nil {
		return err
	}
	to := url.URL{Scheme: "http", User: url.UserPassword(access.User, b.password), Host: "127.0.0.1:8080", Path: "/"}
	b.Order(fmt.Sprintf("update %s /perm/%s", &to, version))
	defer func() {
		select {
		case <-b.orders: // The power went before the helper heard of it.
		default:
		}
	}()
	for {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return &updateError{ctx.Err(), b.ServiceLog("helper")}
		}
		now, err := b.updateStatus(ctx)
		if n := len(now.History); err == nil && n > len(before.History) {
			if o := now.History[n-1]; o.Outcome != "confirmed" {
				return fmt.Errorf("%s: %s", o.Outcome, o.Reason)
			}
			return nil
		}
	}
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
	b.waitControl()
	s, err := b.updateStatus(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *Box) updateStatus(ctx context.Context) (update.Status, error) {
	var s update.Status
	text, err := b.request(ctx, http.MethodGet, "/update/status", nil)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}
