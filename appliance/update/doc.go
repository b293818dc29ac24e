// Package update is the box's port for status, logs and updates, with the name and password that package access knows.
// gokrazy answers behind it, on its Unix socket.
package update
