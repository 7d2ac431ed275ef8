package password

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// priority is that of the thread which runs this, as the kernel tells it: 20 less how nice it is.
func priority(t *testing.T) int {
	p, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return p
}

// Hashes are nice, and nobody else becomes so by them, whichever threads there are.
func TestHashesGiveWay(t *testing.T) {
	t.Parallel()
	before, during := priority(t), 0
	for range 20 {
		politely(func() { during = priority(t) })
		if want := max(before-politeness, 1); during != want {
			t.Fatalf("a hash has the priority %d, want %d", during, want)
		}
	}
	var all sync.WaitGroup
	together := make(chan struct{})
	for range 40 {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			<-together
			if after := priority(t); after != before {
				t.Errorf("another thread has the priority %d, before %d", after, before)
			}
		})
	}
	close(together)
	all.Wait()
}

// What goes wrong in a hash ends a request, not the server.
func TestAPanicInAHashIsTheCallers(t *testing.T) {
	t.Parallel()
	defer func() {
		if thrown := recover(); thrown != "no hash" {
			t.Errorf("%v reached the caller", thrown)
		}
	}()
	politely(func() { panic("no hash") })
}
