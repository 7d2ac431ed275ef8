package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
BenchmarkDoor/create/clients=32-2         	    8000	    500000 ns/op	    400000 cpu-ns/op	    250000 db-cpu-ns/op	    200000 raw-cpu-ns/op	    150000 raw-db-cpu-ns/op	    250000 raw-ns/op	         0.5000 x-raw	   56362 B/op	     582 allocs/op
BenchmarkDoor/get/clients=32-2         	    8000	    100000 ns/op	    90000 cpu-ns/op	    50000 raw-cpu-ns/op	    50000 raw-ns/op	         0.5000 x-raw	   56362 B/op	     182 allocs/op
BenchmarkBulk/postgres-2 	 5	 1000000 ns/op	 4.5 x-single	 1.5 x-eight
BenchmarkParseFilter/simple-2 	 50000	 210 ns/op
BenchmarkParseFilter/simple-2 	 50000	 900 ns/op
BenchmarkParseFilter/simple-2 	 50000	 200 ns/op
BenchmarkManageUsers/postgres/active-2 	 30	 9000000 ns/op	 58000 bytes	 12.5 cpu-ms	 8.1 min-ms	 9.21 p50-ms
BenchmarkManageUsers/sqlite/active-2 	 30	 9000000 ns/op	 58000 bytes	 51.5 cpu-ms	 8.1 min-ms	 50.1 p50-ms
BenchmarkManageUsers/postgres/viewers-2 	 30	 9000000 ns/op	 58000 bytes	 12.5 cpu-ms	 8.1 min-ms	 9.2 p50-ms
BenchmarkManageUsers/sqlite/viewers-2 	 30	 9000000 ns/op	 58000 bytes	 12.5 cpu-ms	 8.1 min-ms	 9.2 p50-ms
PASS
`

func TestPageSaysWhatWasMeasured(t *testing.T) {
	t.Parallel()
	text := string(page(host{Processor: "Some processor", Cores: 2, Load: "0.5", LoadAfter: "3.1"}, parse(output)))
	for _, want := range []string{
		"| POST a user | 32 | 2,000 | 4,000 | 0.50 | 0.60, **not met** | 400, 200 | 250, 150 | 582 |",
		"| GET a user | 32 | 10,000 | 20,000 | 0.50 | 0.45, met | 90, 50 |  | 182 |",
		"requests of one client, PostgreSQL | 4.5 | ≥ 3 times as fast, met |",
		"requests of eight clients, PostgreSQL | 1.5 |  |",
		"| ParseFilter/simple | 210 ns/op |",
		"| status active (94,000) | 9.21 | 12.5 | 50.1 | 51.5 | 58,000 | 50 ms, **not met** |",
		"| role Viewer (2,000) | 9.2 | 12.5 | 9.2 | 12.5 | 58,000 | 50 ms, met |",
		"Some processor, 2 processors", "0.5 before", "3.1 after",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "| Door/") || strings.Contains(text, "| Bulk/") || strings.Contains(text, "| ManageUsers/") {
		t.Errorf("a figure stands twice:\n%s", text)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.1234: "0.123", 99: "99", 123.4: "123", 1234: "1,230", 98765: "98,800", 1234567: "1,230,000"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
