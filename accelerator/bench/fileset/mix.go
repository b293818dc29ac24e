package fileset

import (
	"fmt"
	"math/rand/v2"
)

// The SPECweb file mix: in every directory four classes of nine files. File i of
// a class has i times the size of its step. Directories are drawn by Zipf's law,
// classes and files within them with the shares of SPECweb99. The mean answer is
// about 14.7 KB.
const mixDirectories = 20 // 103 MB of files

var (
	mixSteps   = [4]int{102, 1 << 10, 10 << 10, 100 << 10}
	mixClasses = [4]float64{35, 50, 14, 1}
	mixFiles   = [9]float64{3.9, 5.9, 8.8, 17.7, 35.3, 11.8, 7.1, 5.0, 4.4}
)

// MixFile is a file of the mix, and its share of the requests.
type MixFile struct {
	Path  string
	Size  int
	Share float64 // the shares add up to 1
}

// Mix returns all files of the mix.
func Mix() []MixFile {
	var files []MixFile
	sum := 0.0
	for d := range mixDirectories {
		for c, step := range mixSteps {
			for i, weight := range mixFiles {
				share := mixClasses[c] * weight / float64(d+1)
				sum += share
				files = append(files, MixFile{
					Path: fmt.Sprintf("/mix/dir%05d/class%d_%d.html", d, c, i+1),
					Size: (i + 1) * step, Share: share,
				})
			}
		}
	}
	for i := range files {
		files[i].Share /= sum
	}
	return files
}

// MixOrder draws n requests: indexes into Mix.
func MixOrder(n int) []uint16 {
	files := Mix()
	random := rand.New(rand.NewPCG(96, 99))
	order := make([]uint16, n)
	for k := range order {
		left := random.Float64()
		i := 0
		for i < len(files)-1 && left >= files[i].Share {
			left -= files[i].Share
			i++
		}
		order[k] = uint16(i)
	}
	return order
}
