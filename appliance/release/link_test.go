package release

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A release that is linked in several parts is the same as one that is linked in one, wherever the cuts are.
func TestLinkParts(t *testing.T) {
	files := site{}
	for i := range 4 * leastLinks {
		dir := strings.Repeat("deep/", i%7) + fmt.Sprintf("%d/%d/", i/1500, i%3)
		if i%5 == 0 {
			dir = ""
		}
		files[dir+fmt.Sprintf("file-%d", i)] = fmt.Sprint(i % 1000)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, parts := range []int{1, 2, 3, 4} {
		runtime.GOMAXPROCS(parts)
		root := t.TempDir()
		r := mustPublish(t, newStore(t, root), files)
		if got := live(t, root); !equal(got, files) {
			t.Errorf("%d parts: another site", parts)
		}
		err := filepath.Walk(filepath.Join(root, releasesName, r.ID), func(path string, info os.FileInfo, err error) error {
			if err == nil && info.IsDir() && info.Mode().Perm() != 0o755 {
				err = fmt.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Errorf("%d parts: %v", parts, err)
		}
	}
}
