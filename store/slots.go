package store

import (
	"math/rand/v2"
	"sync"
)

// counterSlots is over how many rows a counter is spread.
const counterSlots = 64

// slots gives each command that counts something a row of its own for as long as it
// runs. A counter's row is locked until the commit is on the disk, so two commands on
// one row would commit one after the other; with a row drawn by lot, 8 commands and
// 16 rows, every third waited. The one given back last goes out first, so there are
// only as many rows as commands that ran at once.
type slots struct {
	mu   sync.Mutex
	free []int
	made bool
}

// take gives a number, and whether it must be given back: with all of them out, two
// commands share one.
func (s *slots) take() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		s.free, s.made = rand.Perm(counterSlots), true // in an order that another replica has not
	}
	last := len(s.free) - 1
	if last < 0 {
		return rand.IntN(counterSlots), false
	}
	n := s.free[last]
	s.free = s.free[:last]
	return n, true
}

func (s *slots) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, n)
}

// slot is the row of each counter that this command adds to.
func (tx *Tx) slot() int {
	if tx.w == nil && !tx.slotted { // SQLite's writer is alone
		tx.mySlot, tx.slotOwned = tx.db.slots.take()
		tx.slotted = true
	}
	return tx.mySlot
}

// free gives back what the command held, once it has ended.
func (tx *Tx) free() {
	if tx.slotOwned {
		tx.db.slots.give(tx.mySlot)
	}
	tx.slotted, tx.slotOwned = false, false
}
