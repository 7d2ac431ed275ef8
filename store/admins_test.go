package store_test

import (
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestAdminsAreTheActiveOnes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, actor := storetest.Org(t, db, "acme")
		err := db.Write(t.Context(), actor, func(tx *store.Tx) error {
			for name, role := range map[string]string{"ada": access.Admin, "left": access.Admin, "vi": access.Viewer} {
				u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name + "@acme.example"}.Doc(), Source: store.FromAPI, Status: store.Active})
				if err != nil {
					return err
				}
				if err := tx.Grant(u.ID, role, store.Manual); err != nil {
					return err
				}
			}
			u, err := tx.UserByName("left")
			if err != nil {
				return err
			}
			if _, err = tx.Deactivate(u.ID, "left"); err != nil {
				return err
			}
			list, err := tx.Admins()
			if err != nil || len(list) != 1 || list[0].UserName != "ada" {
				t.Errorf("admins are %+v, %v; want ada alone", list, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
