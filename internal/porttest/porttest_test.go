package porttest_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/muster-id/muster/internal/porttest"
)

// A port that is held is chosen for nobody, refuses connections, and can be listened
// on, also again.
func TestHeld(t *testing.T) {
	held := map[string]bool{}
	for range 200 {
		addr := porttest.HeldAddr(t)
		if held[addr] {
			t.Fatalf("%s is held twice", addr)
		}
		held[addr] = true
	}
	for range 400 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if held[l.Addr().String()] {
			t.Errorf("%s was given to somebody else", l.Addr())
		}
	}
	for addr := range held {
		if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a connection to %s: %v", addr, err)
		}
		for range 2 {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := net.Listen("tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("a second listener on %s: %v", addr, err)
			}
			l.Close()
		}
	}
}
