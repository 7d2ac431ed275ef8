package scim

import (
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A directory is told why nobody more gets in, at each of its ways, and gets nobody in.
func TestADirectoryWithoutSeats(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		off := d.user("off@example.com", `"active": false`)
		d.user("on@example.com")
		d.write(func(tx *store.Tx) error { return tx.SetSeats(1) })
		const why = "No seat of this organization is free: its limit is 1. Deactivate somebody"
		d.refused(403, "", why, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"new@example.com"}`)
		d.refused(403, "", why, "PATCH", "/Users/"+off, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":true}]}`)
		d.refused(403, "", why, "PATCH", "/Users/"+off, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":true,"title":"Boss"}}]}`)
		d.refused(403, "", why, "PUT", "/Users/"+off, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"off@example.com","active":true}`)
		if got := d.must(200, "GET", "/Users/"+off, ""); got.json["active"] != false {
			t.Errorf("%s", got.raw)
		}
		d.must(201, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"later@example.com","active":false}`)
		d.bulk(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Users","bulkId":"1","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bulk@example.com"}}]}`, "403")
		d.write(func(tx *store.Tx) error { return tx.SetSeats(2) })
		d.must(200, "PATCH", "/Users/"+off, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":true}]}`)
	})
}
