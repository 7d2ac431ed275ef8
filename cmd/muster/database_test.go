package main

import (
	"testing"

	"github.com/muster-id/muster/store/storetest"
)

// eachDatabase runs a test of the whole program on the embedded database and on
// PostgreSQL; env are the settings that lead there.
func eachDatabase(t *testing.T, name string, f func(t *testing.T, env ...string)) {
	t.Helper()
	t.Run(name+"/sqlite", func(t *testing.T) { t.Parallel(); f(t) })
	t.Run(name+"/postgres", func(t *testing.T) {
		t.Parallel()
		f(t, "MUSTER_DATABASE_URL="+storetest.PostgresURL(t))
	})
}
