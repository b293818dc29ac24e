// Package release keeps a site as releases on a disk. A release is a directory that never changes; `current` is a link to
// the one that is live. Files of the same content are one file: hard links to a blob, which is named by its SHA-256.
//
//	current -> releases/000042-1a2b3c4d    flipped by one rename
//	releases/<id>/                         what the accelerator reads
//	.ramjet/blobs/1a/1a2b…                 each content once, linked into the releases that have it
//	.ramjet/incoming/                      what has arrived, and releases that are being built or removed
//	.ramjet/manifests/<id>.manifest, .json which files a release has; who published it, and when
//	.ramjet/manifests/<id>.assets          which of its files stay for open tabs
//	.ramjet/keep                           how many releases are kept
//
// What a call of Commit does, in system calls; what a power cut leaves stands beside it:
//
//	linkat(incoming or blob, build/a/b) …   the old release; the build is removed at the next start
//	syncfs                                  the same, and all bytes are on the disk
//	renameat(incoming/1a2b…, blobs/1a/…) …  the same
//	renameat(build, releases/<id>)          the same, and a release that was never live
//	syncfs                                  the same
//	symlinkat(tmp), renameat(tmp, current)  the old or the new one
//	fsync(.)                                the new one
//
// So a file that stands in blobs is whole, if the disk is honest about what it has written, and one in incoming need not
// be: it is hashed again by a process that has not received it itself.
//
//	store.go    Store, shelf                  manifest.go  which files a release has
//	name.go     names that can be published   announce.go  what has to be sent
//	contents.go streams of contents           receive.go   a content that arrives
//	tar.go      all of it in one archive      place.go     is there room
//	commit.go   build and flip                link.go      the directory of a release
//	forms.go    compressed forms, their times recover.go   after a crash
//	list.go     releases: list, flip, remove  assets.go    what open tabs still ask for
//	globs.go    which files these are         assetlist.go and which of a release
//	scrub.go    look for rot                  sys.go       system calls
//
// It takes a file system with hard links, symbolic links and room: ext4. FAT has no links.
package release
