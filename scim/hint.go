package scim

import (
	"github.com/muster-id/muster/store"
)

// hintRows is how many of the newest requests are asked for what sent them.
const hintRows = 50

// Hint tells which vendor the requests of a directory look like, when that is
// another than its own and most of those that say anything agree. It is for people
// to read: nothing is decided by what a client calls itself.
func Hint(tx *store.Tx, d store.Directory) (Vendor, bool, error) {
	agents := []string{}
	err := tx.Select(&agents, `SELECT agent FROM scim_log WHERE org_id = ? AND directory_id = ? AND refusal NOT IN (?, ?)
		ORDER BY at DESC, id DESC LIMIT ?`, tx.Org(), d.ID, refusedToken, refusedURL, hintRows)
	if err != nil {
		return Vendor{}, false, err
	}
	known, votes := 0, map[string]int{}
	for _, a := range agents {
		if v, ok := vendorOfAgent(a); ok {
			known++
			votes[v.Name]++
		}
	}
	for name, n := range votes {
		if 2*n > known && name != d.Vendor {
			v, _ := VendorNamed(name)
			return v, true, nil
		}
	}
	return Vendor{}, false, nil
}
