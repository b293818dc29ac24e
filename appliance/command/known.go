package command

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ramjet/appliance/api"
)

// known are the boxes whose certificates were seen, as in ssh's known_hosts: a line has an address and a fingerprint.
type known struct {
	file      string
	wanted    string // of a box that is not known; empty: ask
	acceptNew bool
	t         *Terminal
}

func knownFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "ramjet", "known_boxes")
}

// config accepts the one certificate that is known.
func (k *known) config(address string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Boxes have certificates of their own making: what counts is that it is the same one as ever.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			return k.check(address, api.Fingerprint(s.PeerCertificates[0].Raw))
		},
	}
}

func (k *known) check(address, fingerprint string) error {
	before, err := k.find(address)
	switch {
	case err != nil:
		return err
	case before == fingerprint:
		return nil
	case before != "":
		return fmt.Errorf("%s shows another certificate than before: %s, not %s. Somebody may be in between! If the box was flashed anew, "+
			"or is another one, remove its line from %s", address, fingerprint, before, k.file)
	case k.wanted != "" && k.wanted != fingerprint:
		return fmt.Errorf("the fingerprint of %s is %s, not %s", address, fingerprint, k.wanted)
	case k.wanted != "" || k.acceptNew:
	case !k.t.Asks:
		return fmt.Errorf("%s is not known yet; the fingerprint of its certificate is %s. Give -fingerprint %s if that is what the box has logged, or -accept-new",
			address, fingerprint, fingerprint)
	case !k.t.ask(fmt.Sprintf("%s is not known yet. The fingerprint of its certificate, which it logs at its start, is\n%s\nIs it right?", address, fingerprint)):
		return errors.New("not connected")
	}
	return k.add(address, fingerprint)
}

func (k *known) find(address string) (string, error) {
	text, err := os.ReadFile(k.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == address {
			return words[1], nil
		}
	}
	return "", nil
}

func (k *known) add(address, fingerprint string) error {
	if k.file == "" {
		return errors.New("there is no place for the fingerprint; give -known FILE")
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(k.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %s\n", address, fingerprint)
	return errors.Join(err, f.Close())
}
