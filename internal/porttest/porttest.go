// Package porttest holds ports for programs that tests start. A port that was free a
// moment ago may be given to anybody by the time a program listens on it; one that is
// held is given to nobody else.
package porttest

import (
	"fmt"
	"syscall"
	"testing"
)

// Hold takes a free port of 127.0.0.1. Until it is released connections to it are
// refused, the system chooses it for nobody, and a program that is told to can listen
// on it: the port is bound here without a listener, and both sides say SO_REUSEADDR,
// as servers do (socket(7)).
func Hold() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("hold a port: %w", err)
	}
	release = func() { syscall.Close(fd) }
	if port, err = bind(fd); err != nil {
		release()
		return 0, nil, fmt.Errorf("hold a port: %w", err)
	}
	return port, release, nil
}

func bind(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return at.(*syscall.SockaddrInet4).Port, nil
}

// Held is a port that is held until the test ends.
func Held(tb testing.TB) int {
	tb.Helper()
	port, release, err := Hold()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return port
}

// HeldAddr is the address of such a port.
func HeldAddr(tb testing.TB) string {
	tb.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Held(tb))
}
