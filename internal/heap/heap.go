// Package heap is how much memory a server takes before it collects garbage.
package heap

import (
	"os"
	"sync"
)

// floor is what the collector takes for live; it lets the heap grow to twice that and
// twice what is kept.
const floor = 32 << 20 // bytes

var ballast []byte

// Roomy lets the heap grow to some 70 MiB before garbage is collected. What a server keeps
// is a few MiB, and Go by itself would collect at each few MiB of garbage: a fifth of the
// processor time of SCIM requests. The block is never written, so it takes no memory itself.
// Whoever sets GOGC or GOMEMLIMIT has decided: then nothing is done.
var Roomy = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, floor)
	}
})
