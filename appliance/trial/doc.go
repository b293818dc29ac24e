// Package trial changes a file of the box so that the change takes itself back unless somebody confirms it in time.
//
// What holds, whatever ends the program or the machine at whatever moment:
//
//   - The record of the trial, with the old text, is on the disk before the new text is.
//   - A trial that is not confirmed is taken back: after its time, or when the program starts again.
//   - The record goes when its end is in the history and the file that counts has been put to work.
//
// The steps, and what a power cut behind each of them leaves:
//
//	write the record           the old file; the record is taken back, which changes nothing
//	write the file             the new file; the old text is written back at the next start
//	put it to work             the same
//	write the record: kept     the new file; it stays, and the history is completed
//	write the history          the same
//	remove the record          all is done
//
// Package durable has what "write" means.
package trial
