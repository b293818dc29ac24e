package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"ramjet/accelerator/admin"
	"ramjet/accelerator/config"
)

// Where the farm in force comes from.
const (
	fromConfiguration = "configuration" // the file and the flags
	fromSaved         = "saved"         // the file of -farm
	fromChange        = "change"        // the admin socket; until the end of the program, or a reload
)

// wantedFarm is the farm in force, as it was written. Immutable.
type wantedFarm struct {
	text    []byte
	from    string
	since   time.Time
	trouble error // why the saved one is not used, if there is one
}

// withFarm puts another farm in the place of the configuration's own. The name is
// for messages; relative paths count from the folder.
func (l *loaded) withFarm(name, folder string, text []byte, from string) (*loaded, error) {
	c, canonical, err := l.own.WithFarm(name, folder, text)
	if err != nil {
		return nil, err
	}
	if err := tryFiles(name, c); err != nil {
		return nil, err
	}
	return l.use(c, wantedFarm{text: canonical, from: from, since: time.Now()})
}

// withOwnFarm leaves the configuration its own.
func (l *loaded) withOwnFarm(trouble error) (*loaded, error) {
	return l.use(l.own, wantedFarm{text: l.ownFarm, from: fromConfiguration, since: time.Now(), trouble: trouble})
}

// withSavedFarm puts the saved farm in the place of the configuration's own, if there
// is one. With one that cannot be used everything stays as it is: another farm than the
// configuration's own if one is in force, or else that.
func (s *source) withSavedFarm(l, now *loaded) (*loaded, error) {
	file := s.options.farm
	if file == "" {
		return l.withOwnFarm(nil)
	}
	text, err := config.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return l.withOwnFarm(nil)
	}
	var saved *loaded
	if err == nil {
		saved, err = l.withFarm(file, filepath.Dir(file), text, fromSaved)
	}
	if err == nil {
		return saved, nil
	}
	if s.options.check {
		return l.withOwnFarm(err) // Which is reported.
	}
	if now == nil || now.wanted.from == fromConfiguration {
		s.log.Error("the saved farm cannot be used, the configuration's own serves", "file", file, "err", err)
		return l.withOwnFarm(err)
	}
	s.log.Error("the saved farm cannot be used, the farm in force stays", "file", file, "err", err)
	next, e := l.withFarm("the farm in force", "", now.wanted.text, now.wanted.from)
	if e != nil {
		return nil, e
	}
	next.wanted.trouble = err
	return next, nil
}

// farmText is the farm in force.
func (s *server) farmText() []byte { return s.live.Load().wanted.text }

// changeFarm puts another farm to work, as a reload does but for the content. A change
// that is not valid, or cannot be saved, changes nothing.
func (s *server) changeFarm(change admin.FarmChange) ([]byte, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	now := s.live.Load().loaded
	if !change.Expected(now.wanted.text) {
		return now.wanted.text, admin.ErrFarmChanged
	}
	next, err := s.changed(now, change)
	if err != nil {
		return nil, err
	}
	file := s.source.options.farm
	var saved *renameio.PendingFile
	if change.Save {
		if saved, err = prepareFile(file, next.wanted.text); err != nil {
			return nil, admin.Fault{Err: fmt.Errorf("the farm cannot be saved, nothing changed: %w", err)}
		}
		defer saved.Cleanup()
	}
	replaced, err := s.goLive(next)
	if err != nil {
		return nil, err
	}
	replaced.farm.close()
	switch {
	case change.Save:
		err = saved.CloseAtomicallyReplace()
	case change.Kind == admin.ResetFarm && file != "":
		if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil && (change.Save || change.Kind == admin.ResetFarm) && file != "" {
		err = syncFolder(filepath.Dir(file))
	}
	if err != nil {
		s.log.Error("the farm was changed, but not in its file", "file", file, "err", err)
		return nil, admin.Fault{Err: fmt.Errorf("the farm is changed now, but after a restart it will be as before: %w", err)}
	}
	s.log.Info("the farm was changed", "from", next.wanted.from, "backends", s.live.Load().farm.size(), "routes", len(next.config.Routes))
	return next.wanted.text, nil
}

// changed is the configuration with the farm that a change asks for.
func (s *server) changed(now *loaded, change admin.FarmChange) (*loaded, error) {
	from := fromChange
	if change.Save {
		from = fromSaved
		if s.source.options.farm == "" {
			return nil, errors.New("there is no file to save the farm in; start the program with -farm FILE, or leave out save")
		}
	}
	if change.Kind == admin.ResetFarm {
		return now.withOwnFarm(nil)
	}
	text := change.Text
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New(`nothing was sent; send such as {"backends": [{"url": "http://10.0.0.2:8000"}]}`)
	}
	if change.Kind == admin.MergeFarm {
		var err error
		if text, err = config.MergeFarm(now.wanted.text, "patch", text); err != nil {
			return nil, err
		}
	}
	return now.withFarm("farm", filepath.Dir(now.file), text, from)
}

// prepareFile writes what shall replace the file, so that a full disk shows before
// anything is changed. The file may hold secrets that a route sets.
func prepareFile(file string, text []byte) (*renameio.PendingFile, error) {
	next, err := renameio.NewPendingFile(file, renameio.WithPermissions(0o640))
	if err != nil {
		return nil, err
	}
	if _, err := next.Write(text); err != nil {
		return nil, errors.Join(err, next.Cleanup())
	}
	if err := next.Sync(); err != nil {
		return nil, errors.Join(err, next.Cleanup())
	}
	return next, nil
}

// syncFolder makes a change of names survive a power cut.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
