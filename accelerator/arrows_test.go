package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which of our packages each package may import. They go one way:
// from the wiring to the parts, from the parts to what both tiers share. What is
// not listed may import nothing of ours.
var arrows = map[string][]string{
	"ramjet/accelerator": {
		"ramjet/accelerator/accesslog", "ramjet/accelerator/admin", "ramjet/accelerator/backend", "ramjet/accelerator/config",
		"ramjet/accelerator/connlimit", "ramjet/accelerator/content", "ramjet/accelerator/demo", "ramjet/accelerator/eventloop",
		"ramjet/accelerator/health", "ramjet/accelerator/http1", "ramjet/accelerator/proxy", "ramjet/accelerator/proxyproto", "ramjet/accelerator/ratelimit",
		"ramjet/accelerator/resolver", "ramjet/accelerator/route", "ramjet/accelerator/site",
	},
	"ramjet/accelerator/eventloop": {
		"ramjet/accelerator/accesslog", "ramjet/accelerator/backend", "ramjet/accelerator/connlimit", "ramjet/accelerator/content",
	},
	"ramjet/accelerator/health": {"ramjet/accelerator/backend"},
	"ramjet/accelerator/http1":  {"ramjet/accelerator/connlimit", "ramjet/accelerator/proxyproto"},
	"ramjet/accelerator/route":  {"ramjet/accelerator/content"},
	"ramjet/accelerator/site":   {"ramjet/accelerator/accesslog", "ramjet/accelerator/content"},
	"ramjet/accelerator/proxy":  {"ramjet/accelerator/accesslog", "ramjet/accelerator/backend", "ramjet/accelerator/proxyproto"},
	// The benchmark sees the accelerator as a client does, and imports nothing of it.
	"ramjet/accelerator/bench": {"ramjet/accelerator/bench/fileset", "ramjet/accelerator/bench/load", "ramjet/accelerator/bench/peer"},

	"ramjet/appliance": {
		"ramjet/appliance/access", "ramjet/appliance/api", "ramjet/appliance/command", "ramjet/appliance/configuration", "ramjet/appliance/control",
		"ramjet/appliance/health", "ramjet/appliance/logs", "ramjet/appliance/network", "ramjet/appliance/partition", "ramjet/appliance/recorder", "ramjet/appliance/release",
		"ramjet/appliance/token", "ramjet/appliance/trial", "ramjet/appliance/update",
		"ramjet/appliance/watch",
		"ramjet/appliance/update/bootfs", "ramjet/appliance/update/disk", "ramjet/appliance/update/guard",
	},
	"ramjet/appliance/control": {"ramjet/appliance/access", "ramjet/appliance/listening", "ramjet/appliance/unixhttp"},
	"ramjet/appliance/update": {
		"ramjet/appliance/access", "ramjet/appliance/durable", "ramjet/appliance/listening", "ramjet/appliance/update/bootfs", "ramjet/appliance/update/disk", "ramjet/appliance/update/guard",
		"ramjet/appliance/update/signed", "ramjet/appliance/unixhttp",
	},
	"ramjet/appliance/update/guard":   {"ramjet/appliance/update/bootfs", "ramjet/appliance/update/disk"},
	"ramjet/appliance/image/instance": {"ramjet/appliance/access", "ramjet/appliance/update/disk", "ramjet/appliance/update/signed"},
	"ramjet/appliance/image":          {"ramjet/appliance/image/instance", "ramjet/appliance/update/disk"},
	"ramjet/appliance/trial":          {"ramjet/appliance/durable"},
	"ramjet/appliance/configuration":  {"ramjet/appliance/process", "ramjet/appliance/unixhttp"},
	"ramjet/appliance/logs":           {"ramjet/appliance/durable", "ramjet/appliance/unixhttp"},
	"ramjet/appliance/recorder":       {"ramjet/appliance/durable", "ramjet/appliance/unixhttp"},
	"ramjet/appliance/network":        {"ramjet/appliance/durable"},
	"ramjet/appliance/token":          {"ramjet/appliance/durable"},
	"ramjet/appliance/command": {
		"ramjet/appliance/api", "ramjet/appliance/publish", "ramjet/appliance/publish/tree", "ramjet/appliance/release", "ramjet/appliance/trial",
		"ramjet/appliance/update/signed",
	},
	"ramjet/appliance/publish":             {"ramjet/appliance/publish/precompress", "ramjet/appliance/publish/tree", "ramjet/appliance/release"},
	"ramjet/appliance/publish/precompress": {"ramjet/appliance/publish/tree", "ramjet/appliance/release"},
	"ramjet/appliance/publish/tree":        {"ramjet/appliance/release"},
	"ramjet/appliance/health":              {"ramjet/appliance/durable", "ramjet/appliance/process", "ramjet/appliance/unixhttp"},
	"ramjet/appliance/watch":               {"ramjet/appliance/durable", "ramjet/appliance/health", "ramjet/appliance/process", "ramjet/appliance/unixhttp"},
	"ramjet/appliance/partition":           {"ramjet/appliance/unixhttp"},
	"ramjet/appliance/api":                 {"ramjet/appliance/durable", "ramjet/appliance/listening", "ramjet/appliance/release", "ramjet/appliance/token", "ramjet/appliance/trial"},
}

// withoutHTTP are the packages that the event loop will share: no net/http.
var withoutHTTP = []string{
	"ramjet/accelerator/accesslog", "ramjet/accelerator/backend", "ramjet/accelerator/connlimit", "ramjet/accelerator/eventloop",
	"ramjet/accelerator/ratelimit", "ramjet/accelerator/route",
}

func TestArrows(t *testing.T) {
	met := map[string]bool{}
	for _, top := range []string{".", "../appliance"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			importer := packageOf(path)
			met[importer] = true
			if strings.HasPrefix(importer, "ramjet/appliance/vmtest") {
				return nil // Tests, not the product.
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if strings.HasPrefix(imported, "ramjet/") && !slices.Contains(arrows[importer], imported) {
					t.Errorf("%s: %s may not import %s", path, importer, imported)
				}
				if imported == "net/http" && slices.Contains(withoutHTTP, importer) {
					t.Errorf("%s: %s may not import net/http", path, importer)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for importer, imports := range arrows {
		for _, p := range append(imports, importer) {
			if !met[p] {
				t.Errorf("%s is in the list but not in the tree", p)
			}
		}
	}
}

// packageOf returns the import path of the file's package.
func packageOf(path string) string {
	return filepath.ToSlash(filepath.Join("ramjet/accelerator", filepath.Dir(path)))
}
