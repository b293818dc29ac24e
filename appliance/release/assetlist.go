package release

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// Beside the manifest of a release stands which of its files are assets, so that a flip need not read the manifests of all
// releases, which may be long: a line with a seal, then lines as in a manifest. It is made anew where there is none, where
// it is not whole, and where other files are wanted.
const assetListEnd = ".assets"

// rules is which files isAsset takes: another one for others, so that no list of an earlier version counts.
const rules = "1"

// sealOf is the seal of a list: another one for another manifest, other globs, or other bytes.
func sealOf(r Release, wish Globs, list []byte) Hash {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %q\n", rules, r.Manifest, []string(wish))
	sum.Write(list)
	return Hash(sum.Sum(nil))
}

func everything(string) bool { return true }

// assetsOf are the assets of a release that was published.
func (s *Store) assetsOf(h *shelf, r Release, wish Globs) (Manifest, error) {
	// One that cannot be read, for whatever reason, is one that is not there.
	if text, err := h.root.ReadFile(manifestsName + "/" + r.ID + assetListEnd); err == nil {
		seal, list, _ := bytes.Cut(text, []byte("\n"))
		if string(seal) == sealOf(r, wish, list).String() {
			return assetsIn(list, everything)
		}
	}
	text, err := h.root.ReadFile(manifestsName + "/" + r.ID + ".manifest")
	if err != nil {
		return nil, err
	}
	m, err := assetsIn(text, wish.match)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", r.ID, err)
	}
	if err := writeAssetList(h, r, wish, m); err != nil { // Then the next flip takes longer.
		s.log().Warn("the assets of a release cannot be written down", "id", r.ID, "err", err)
	}
	return m, nil
}

// writeAssetList needs no care for a crash: a list that is not whole has a wrong seal.
func writeAssetList(h *shelf, r Release, wish Globs, assets Manifest) error {
	list := assets.Text()
	text := append([]byte(sealOf(r, wish, list).String()+"\n"), list...)
	return h.root.WriteFile(manifestsName+"/"+r.ID+assetListEnd, text, 0o600)
}

// assetsAmong are those of the files of a manifest.
func (m Manifest) assetsAmong(wish Globs) (assets Manifest) {
	for _, e := range m {
		if wish.match(e.Path) {
			assets = append(assets, e)
		}
	}
	return assets
}
