package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"ramjet/appliance/access"
	"ramjet/appliance/api"
	"ramjet/appliance/configuration"
	"ramjet/appliance/network"
	"ramjet/appliance/recorder"
	"ramjet/appliance/release"
	"ramjet/appliance/token"
	"ramjet/appliance/trial"
)

// steering is what can be changed on the box: a trial each time.
type steering struct {
	dir      string // of what has to outlive the box's power
	listen   string // of the API
	file     *configuration.File
	settings []api.Setting
	desk     *trial.Desk
	network  *network.Keeper
	releases *release.Store
}

// reloadTime bounds how long a publisher waits until the accelerator serves a release.
const reloadTime = 60 * time.Second

// newSteering opens the desk, which takes a trial back that was cut off. It comes before everything else.
func newSteering(dir, run, listen string, file *configuration.File) *steering {
	config := &trial.Subject{Name: "config", File: file.Path, Check: file.Check, Apply: file.Apply}
	keeper := &network.Keeper{
		File: filepath.Join(dir, "network.json"), Dir: run, Resolver: "/tmp/resolv.conf", DHCP: "/gokrazy/dhcp", Hostname: "/etc/hostname",
	}
	interfaces := &trial.Subject{Name: "network", File: keeper.File, Check: keeper.Check, Apply: keeper.Apply, Cuts: true}
	s := &steering{dir: dir, listen: listen, file: file, network: keeper, settings: []api.Setting{
		{Subject: config, Overruled: file.Overruled}, {Subject: interfaces},
	}}
	s.releases = &release.Store{Root: filepath.Join(run, "site"), Flipped: func(ctx context.Context) error {
		// Also if the publisher is gone: the release is live by then.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTime)
		defer cancel()
		return file.Reload(ctx)
	}}
	s.desk = &trial.Desk{Dir: filepath.Join(dir, "trial")}
	for _, setting := range s.settings {
		s.desk.Subjects = append(s.desk.Subjects, setting.Subject)
	}
	if err := s.desk.Open(); err != nil {
		slog.Error("nothing can be changed over the network", "err", err)
	}
	return s
}

// api returns the task that lets the box be steered by who has its password.
func (s *steering) api(who *access.Access, well http.Handler, kept *recording) Task {
	file := filepath.Join(s.dir, "tokens.json")
	tokens, err := token.Open(file)
	if err != nil {
		aside := file + ".broken"
		slog.Error("the tokens cannot be used any more, they have to be made anew", "moved to", aside, "err", err)
		_ = os.Rename(file, aside)
		if tokens, err = token.Open(file); err != nil {
			tokens = new(token.Store) // Of none.
		}
	}
	return &api.Server{
		Listen: s.listen, TLS: filepath.Join(s.dir, "tls"), Password: who, Tokens: tokens, Desk: s.desk, Settings: s.settings,
		Status: func(ctx context.Context) any { return s.status(ctx, kept) }, Health: well, Releases: s.releases,
		Logs: kept.logs, Flights: kept.flights, Asked: kept.flights.Asked,
	}
}

// trying tells whether a change is on trial.
func (s *steering) trying() bool {
	_, on := s.desk.Current()
	return on
}

// boxStatus is how the box is.
type boxStatus struct {
	Version     string          `json:"version"` // of this program
	Hostname    string          `json:"hostname"`
	Since       time.Time       `json:"since"` // this program
	Addresses   []string        `json:"addresses"`
	Accelerator json.RawMessage `json:"accelerator,omitempty"`
	Trouble     string          `json:"trouble,omitempty"`
	Recorder    recorder.Status `json:"recorder"`
}

var since = time.Now()

func (s *steering) status(ctx context.Context, kept *recording) any {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b := boxStatus{Version: version, Since: since, Addresses: []string{}, Recorder: kept.flights.Status()}
	b.Hostname, _ = os.Hostname()
	if all, err := machineAddresses(); err == nil && all != nil {
		b.Addresses = all
	}
	raw, err := s.file.Raw(ctx)
	if err != nil {
		b.Trouble = "the accelerator does not answer: " + err.Error()
	} else if json.Valid(raw) {
		b.Accelerator = raw
	}
	return b
}
