package scim

import (
	"fmt"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// SailPoint sends each membership in a request of its own, all at once, and repeats
// none (Teleport #61511): every one is there afterwards, and none meets 429.
func TestSailPointMembershipsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Vendor: "sailpoint"})
		const n = 40
		var ids []string
		for i := range n {
			ids = append(ids, d.user(fmt.Sprintf("sp%02d@example.com", i)))
		}
		g := d.group("Entitlement", ids[:n/2]...)
		done := make(chan reply)
		for i, id := range ids {
			op := `{"op":"add","path":"members","value":[{"value":"` + id + `"}]}`
			if i < n/2 {
				op = `{"op":"remove","path":"members[value eq \"` + id + `\"]"}`
			}
			go func() { done <- d.do("PATCH", "/Groups/"+g, patchBody(op)) }()
		}
		for range ids {
			if got := <-done; got.code != 204 {
				t.Errorf("%d %s", got.code, got.raw)
			}
		}
		members := d.memberIDs(g)
		for i, id := range ids {
			if members[id] != (i >= n/2) {
				t.Errorf("user %d is a member: %v", i, members[id])
			}
		}
	})
}
