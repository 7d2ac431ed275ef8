//go:build !linux

package password

// politely runs work. Here priorities are of whole processes.
func politely(work func()) { work() }
