package heap

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestRoomy asks processes of their own, as GOGC is read when one starts.
func TestRoomy(t *testing.T) {
	t.Parallel()
	if os.Getenv("MUSTER_TEST_HEAP") != "" {
		Roomy()
		Roomy() // once more is nothing
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if len(ballast) > 0 {
			ballast[0] = 0 // it is there until now
		}
		t.Logf("goal %d MiB", m.NextGC>>20)
		if roomy := m.NextGC > 60<<20 && m.NextGC < 80<<20; roomy != (os.Getenv("MUSTER_TEST_HEAP") == "roomy") {
			t.Errorf("the heap grows to %d MiB before garbage is collected", m.NextGC>>20)
		}
		return
	}
	for name, env := range map[string][]string{"roomy": nil, "GOGC": {"GOGC=100"}, "GOMEMLIMIT": {"GOMEMLIMIT=200MiB"}} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRoomy$", "-test.v")
		for _, e := range os.Environ() {
			if !strings.HasPrefix(e, "GOGC=") && !strings.HasPrefix(e, "GOMEMLIMIT=") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		cmd.Env = append(append(cmd.Env, env...), "MUSTER_TEST_HEAP="+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
