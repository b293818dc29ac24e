// Package partition finds the content partition of the box, mounts it and follows it while it comes and goes.
//
// The content partition is the file system whose label is RAMJET: a partition or a whole disk, in whichever port.
// [Watcher] mounts it below <run>/media and points the symbolic link <run>/site to it. The link is the contract with the
// accelerator, which serves what the link names. [Reloader] tells the accelerator when the link was flipped.
//
// What happens on the good path, as system calls:
//
//	open(/dev/sda1) pread(superblock) mount(/dev/sda1, <run>/media/sda1) symlink rename(<run>/site) POST /reload
//
// What is promised:
//   - The link is replaced atomically; it never names a directory that was not mounted at that moment.
//   - A pulled partition leaves the link dangling, it never goes back to the fallback directory; choose says why.
//   - No event has to be seen: kernel events only wake the watcher, and it looks for itself every few seconds anyway.
//   - A restart of the program keeps the mounts of the run before, so the accelerator does not notice.
//
// What is not: a stick that is pulled while somebody writes to it may lose what was written last. That is for the writer.
package partition
