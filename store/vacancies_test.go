package store_test

import (
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Seats are given out in thought as they would be: whoever leaves a license frees one, and
// whoever had none frees none of everybody's.
func TestVacancies(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		people := map[string]store.UserID{}
		for name, is := range map[string]struct {
			status store.Status
			roles  []string
		}{"agent": {store.Active, []string{access.Agent, access.Viewer}}, "viewer": {store.Active, []string{access.Viewer}}, "away": {store.Deactivated, []string{access.Viewer}}} {
			u, err := create(db, admin, name+"@example.com", is.status, is.roles...)
			if err != nil {
				t.Fatal(err)
			}
			people[name] = u.ID
		}
		limit(t, db, admin, 2)
		write(t, db, admin, func(tx *store.Tx) error {
			return tx.SetLicenses([]store.License{{ID: "full", Name: "Full", Roles: []string{access.Agent}, Limit: 1}})
		})
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			free, err := tx.Vacancies()
			if err != nil {
				return err
			}
			move := func(come, gone []string) func(...store.UserID) (map[store.UserID]error, error) {
				return func(ids ...store.UserID) (map[store.UserID]error, error) { return free.Move(come, gone, ids...) }
			}
			agent := []string{access.Agent}
			for _, step := range []struct {
				name, who string
				do        func(...store.UserID) (map[store.UserID]error, error)
				none      bool
			}{
				{"the license is full", "viewer", move(agent, nil), true},
				{"the agent leaves it", "agent", move(nil, agent), false},
				{"then there is one", "viewer", move(agent, nil), false},
				{"all seats are taken", "away", free.Give, true},
			} {
				refused, err := step.do(people[step.who])
				if err != nil {
					return err
				}
				if why := refused[people[step.who]]; step.none != noSeat(why) || !step.none && why != nil {
					t.Errorf("%s: %v", step.name, why)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
