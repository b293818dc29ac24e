package instance

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// fingerprint is a hash over all that goes into an image: the sources of both
// programs, the versions of everything else, and the derived configuration.
// Tests and the story harness are not part of an image.
func fingerprint(root string, config []byte) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", runtime.Version(), config)
	add := func(name string) error {
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintf(sum, "%s\n", name)
		_, err = io.Copy(sum, f)
		return err
	}
	for _, top := range []string{"go.mod", "go.sum", "accelerator", "appliance"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case d.IsDir() && (name == "appliance/vmtest" || d.Name() == "testdata"):
				return fs.SkipDir
			case !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			return add(name)
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}
