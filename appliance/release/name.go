package release

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of names. The accelerator reads no deeper than 64 directories, and opens a path of less than 4096 bytes.
const (
	maxPath      = 2048 // bytes
	maxComponent = 255  // bytes: that of Linux
	maxDepth     = 60   // directories
)

// reserved are names at the top that the accelerator does not serve: they belong to the layout of a partition.
var reserved = []string{"ramjet.json", "lost+found", "System Volume Information"}

// CheckPath says why a file cannot be published under a path, if it cannot. A path is relative, with slashes: a/b.html.
func CheckPath(path string) error {
	refuse := func(why string) error { return fmt.Errorf("%q cannot be published: %s", path, why) }
	switch {
	case path == "":
		return refuse("it is empty")
	case len(path) > maxPath:
		return refuse(fmt.Sprintf("longer than %d bytes", maxPath))
	case path[0] == '/':
		return refuse("it begins with a slash")
	case !utf8.ValidString(path):
		return refuse("it is not UTF-8")
	case strings.ContainsFunc(path, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return refuse("it has a control character")
	case strings.Count(path, "/") > maxDepth:
		return refuse(fmt.Sprintf("deeper than %d directories", maxDepth))
	}
	first := true
	for component := range strings.SplitSeq(path, "/") {
		switch {
		case component == "" || component == "." || component == "..":
			return refuse(fmt.Sprintf("it has a component %q", component))
		case len(component) > maxComponent:
			return refuse(fmt.Sprintf("it has a component longer than %d bytes", maxComponent))
		case first && slices.Contains(reserved, component):
			return refuse(component + " at the top belongs to the layout of the partition, and is not served")
		}
		first = false
	}
	return nil
}

// Served tells whether the accelerator serves files of a mode: not programs, nor what has a sticky bit, nor what not
// everybody may read. To publish one of them would show what was not meant to be seen, such as the source of a program.
func Served(mode uint32) bool { return mode&0o1111 == 0 && mode&0o004 != 0 }

// comparePaths orders paths so that a directory's files stand together and a directory stands where a file of its name
// would: as if the slash came before all other bytes.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		switch {
		case x == y:
		case x == '/':
			return -1
		case y == '/':
			return 1
		case x < y:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}
