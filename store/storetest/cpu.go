package storetest

import (
	"database/sql"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CPU gives a clock of the processor time that this process and, on PostgreSQL, the
// server processes of this database have used: steadier than a rate on a busy machine.
// A server on another machine is not seen.
func CPU(t testing.TB, database string) func() time.Duration {
	t.Helper()
	pids := func() (list string) { return "" }
	if !strings.HasPrefix(database, "sqlite:") {
		db, err := sql.Open("postgres", database)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		pids = func() (list string) {
			if err := db.QueryRow("SELECT COALESCE(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE datname = current_database()").Scan(&list); err != nil {
				t.Fatal(err)
			}
			return list
		}
	}
	return func() time.Duration {
		var own syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
			t.Fatal(err)
		}
		sum := time.Duration(own.Utime.Nano() + own.Stime.Nano())
		for pid := range strings.FieldsSeq(pids()) {
			stat, _ := os.ReadFile("/proc/" + pid + "/schedstat")
			on, _, _ := strings.Cut(string(stat), " ")
			n, _ := strconv.ParseInt(on, 10, 64)
			sum += time.Duration(n)
		}
		return sum
	}
}
