// Package peer runs the servers that the benchmark compares: it installs them,
// writes their configurations, starts each on its cores, and accounts for their
// CPU time and memory.
package peer

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"text/template"
)

// Kind is a kind of server.
type Kind struct {
	Name    string // of the program, too
	Debian  string // the package that has it, or empty
	config  string // the template of its configuration
	command func(config string) []string
	version []string // arguments that make it print its version
}

// The servers. Each is configured as one who knows it would for this task; the
// files say why.
var (
	Nginx = Kind{
		Name: "nginx", Debian: "nginx", config: "nginx.conf",
		command: func(config string) []string { return []string{"-c", config} },
		version: []string{"-v"},
	}
	H2O = Kind{
		Name: "h2o", Debian: "h2o", config: "h2o.conf",
		command: func(config string) []string { return []string{"-c", config} },
		version: []string{"--version"},
	}
	Lighttpd = Kind{
		Name: "lighttpd", Debian: "lighttpd", config: "lighttpd.conf",
		command: func(config string) []string { return []string{"-D", "-f", config} },
		version: []string{"-v"},
	}
	HAProxy = Kind{
		Name: "haproxy", Debian: "haproxy", config: "haproxy.cfg",
		command: func(config string) []string { return []string{"-f", config} },
		version: []string{"-v"},
	}
	Ramjet = Kind{
		Name: "accelerator", config: "ramjet.json",
		command: func(config string) []string { return []string{"-config", config} },
		version: []string{"-version"},
	}
)

// Brotli is nginx's module for siblings in brotli, and BrotliDebian the package
// that has it.
const (
	Brotli       = "/usr/lib/nginx/modules/ngx_http_brotli_static_module.so"
	BrotliDebian = "libnginx-mod-http-brotli-static"
)

//go:embed nginx.conf h2o.conf lighttpd.conf haproxy.cfg ramjet.json
var configs embed.FS

// Settings fill in a server's configuration.
type Settings struct {
	Port        int
	Root        string // of the files
	Dir         string // for the server's own files
	Loops       int    // workers, threads, loops: one for each core
	Files       int    // how many there are below Root
	Connections int    // from clients at a time, at most
	Backend     string // address of a server that gets what is below /cgi-bin/, or empty

	Precompressed bool            // send .br and .gz siblings
	Log           bool            // a combined access log, into Dir
	NetHTTP       bool            // Ramjet without its event loop
	Knows         map[string]bool // what Ramjet's configuration has
}

// write writes the configuration into s.Dir.
func (k *Kind) write(s Settings) (name string, err error) {
	t, err := template.ParseFS(configs, k.config)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return "", err
	}
	name = filepath.Join(s.Dir, k.config)
	return name, os.WriteFile(name, b.Bytes(), 0o644)
}

// Program is a kind of server that is there.
type Program struct {
	Kind
	Path    string
	Version string
}

var versionNumber = regexp.MustCompile(`\d+\.\d[\w.]*`)

// Find looks for the server's program, and asks it for its version.
func (k Kind) Find() (*Program, error) {
	for _, candidate := range []string{k.Name, "/usr/sbin/" + k.Name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return k.At(path)
		}
	}
	return nil, fmt.Errorf("%s is missing; it is in the Debian package %s", k.Name, k.Debian)
}

// At is for a program at a known place.
func (k Kind) At(path string) (*Program, error) {
	p := &Program{Kind: k, Path: path}
	if len(k.version) == 0 {
		return p, nil
	}
	out, err := exec.Command(path, k.version...).CombinedOutput() // nginx uses stderr.
	if err != nil {
		return nil, fmt.Errorf("%s does not tell its version: %w", path, err)
	}
	p.Version = string(versionNumber.Find(out))
	return p, nil
}

// Sockets is how many connections the server has at a time, at most.
func (s Settings) Sockets() int {
	if s.Backend != "" {
		return 2 * s.Connections
	}
	return s.Connections
}

// OpenFiles is how many files the server must be able to have open.
func (s Settings) OpenFiles() int { return s.Files + s.Sockets() + 100 }

// Brotli is the path of nginx's module, or empty if it is not there.
func (s Settings) Brotli() string {
	if _, err := os.Stat(Brotli); err != nil || !s.Precompressed {
		return ""
	}
	return Brotli
}

// AsRoot says whether the servers start as root.
func (s Settings) AsRoot() bool { return os.Getuid() == 0 }
