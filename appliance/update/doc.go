// Package update is the box's port for status, logs and updates, with the name and password that package access knows.
// gokrazy answers behind it, on its Unix socket; the update protocol is answered here, so that every update is a trial:
//
//	PUT root, boot, mbr   kept on /perm until all of them are there and whole
//	POST switch           written beside what runs: the other root, the other half of the boot partition
//	POST reboot           the new kernel is started once, by the old one (kexec), over package guard; the disk still starts the old version.
//	                      A Raspberry Pi's firmware starts the old kernel with the new root once (once.go)
//	                      healthy for a while: one sector is written, and the disk starts the new version
//	                      anything else: the machine starts anew, and that is the old version
package update
