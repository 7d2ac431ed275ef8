package password

import (
	"runtime"
	"syscall"
)

// politeness is how much nicer a hash is than the rest of the server.
const politeness = 10

// politely runs work in a thread that the operating system lets others go before: requests
// of this process, and a database beside it, do not wait for a hash, which has whatever
// they leave of the processors. The thread ends with its goroutine, which never unlocks
// it: without privileges, nothing makes it less nice again.
func politely(work func()) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		runtime.LockOSThread()
		// Linux has a priority for each thread, and 0 is this one. Where it cannot be
		// changed, the work is done all the same.
		if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 20-now+politeness) // the kernel tells 20 less it
		}
		work()
	}()
	if thrown := <-done; thrown != nil {
		panic(thrown) // to whoever asked, as if the work had been done there
	}
}
