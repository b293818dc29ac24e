package instance

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"ramjet/appliance/access"
)

// versionFlag is the linker flag in config.json whose value is replaced by the
// version of this build.
const versionFlag = "-X main.version="

// Config derives the gokrazy configuration of one board from the one at the
// top of the repository. It works on the bare JSON tree, so that a setting
// which this program does not know reaches gok unchanged.
//
// password guards the box's web interface and update API: gok sends it, and
// files, which the image holds besides, has its hash. gokrazy itself is built without one, so that it listens on
// its Unix socket alone, behind the appliance. host is where "gok update" finds
// the box; empty means the box's own host name.
func Config(top []byte, board Board, version, password, host string, files map[string]string) ([]byte, error) {
	var tree map[string]any
	if err := json.Unmarshal(top, &tree); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	tree["Environment"] = []string{"GOOS=linux", "GOARCH=" + board.GOARCH}
	tree["KernelPackage"] = board.Kernel
	tree["FirmwarePackage"] = board.Firmware
	tree["EEPROMPackage"] = board.EEPROM
	tree["SerialConsole"] = board.SerialConsole

	update, _ := tree["Update"].(map[string]any)
	if update == nil {
		update = map[string]any{}
		tree["Update"] = update
	}
	delete(update, "HTTPPassword")
	update["NoPassword"] = true
	if host != "" {
		update["Hostname"] = host
	} else {
		host, _ = tree["Hostname"].(string)
	}
	port, _ := update["HTTPPort"].(string)
	// Where an update goes, which gok cannot make up itself without a password. It
	// is for "gok update" alone; "gok overwrite" does not look at it.
	at := url.URL{Scheme: "http", User: url.UserPassword(access.User, password), Host: net.JoinHostPort(host, port), Path: "/"}
	tree["InternalCompatibilityFlags"] = map[string]any{"Update": at.String()}

	if strings.ContainsAny(version, " \t\n'\"") {
		return nil, fmt.Errorf("version %q: a version has no blanks and no quotes", version)
	}
	stamped := false
	packages, _ := tree["PackageConfig"].(map[string]any)
	if appliance, ok := packages["ramjet/appliance"].(map[string]any); ok {
		appliance["ExtraFileContents"] = files
	}
	for _, p := range packages {
		settings, _ := p.(map[string]any)
		flags, _ := settings["GoBuildFlags"].([]any)
		for i, f := range flags {
			text, _ := f.(string)
			before, after, found := strings.Cut(text, versionFlag)
			if !found {
				continue
			}
			_, rest, _ := strings.Cut(after+" ", " ")
			flags[i] = strings.TrimSpace(before + versionFlag + version + " " + rest)
			stamped = true
		}
	}
	if !stamped {
		return nil, fmt.Errorf("config.json: no GoBuildFlags contain %q", versionFlag)
	}
	out, err := json.MarshalIndent(tree, "", "    ")
	return append(out, '\n'), err
}

// writeInstance makes the directory that gok calls an instance: parent/name
// with config.json (mode 0600, it holds the update password) and a link
// builddir to the repository, by which gok finds our go.mod.
func writeInstance(root, parent, name string, config []byte) error {
	dir := filepath.Join(parent, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	relative, err := filepath.Rel(dir, root)
	if err != nil {
		return err
	}
	if err := renameio.Symlink(relative, filepath.Join(dir, "builddir")); err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
}
