package sso

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// People whose provider gives them one value that is unique here sign in at the same
// moment: one gets it, the others come in without and the outcome says so.
func TestManySignInsWithOneUniqueValue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const urn = "urn:example:acme:1.0:User"
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.write(func(tx *store.Tx) error {
			_, err := tx.PutSchema(store.Schema{URN: urn, Attributes: []store.Attribute{{Name: "badge", Uniqueness: "server"}}}, false)
			return err
		})
		p.rule(Rule{Kind: RuleAttribute, To: urn + ":badge", From: []string{"badge"}})
		for round := range 12 {
			var people [6]string
			for i := range people {
				people[i] = fmt.Sprintf("u%d-%d", round, i)
				if i%2 == 0 { // those are here before, the others are made
					p.visit(p.conn, with(people[i]))
				}
			}
			var outs [6]Outcome
			var wg sync.WaitGroup
			begin := make(chan struct{})
			for i := range people {
				wg.Go(func() {
					<-begin
					a := with(people[i])
					a.SubjectKind, a.Attributes = "sub", map[string][]string{"badge": {fmt.Sprint("B", round)}}
					err := db.Write(t.Context(), actorOf(p.conn, access.Actor{}), func(tx *store.Tx) (err error) {
						outs[i], err = p.door().signIn(tx, p.conn, a)
						return err
					})
					if err != nil {
						t.Errorf("round %d, person %d: %v (%d)", round, i, err, refusalOf(err, nil).status)
					}
				})
			}
			close(begin)
			wg.Wait()
			have := 0
			for i, out := range outs {
				switch {
				case strings.Contains(string(out.User.Doc), fmt.Sprint("B", round)):
					have++
				case !strings.Contains(strings.Join(out.Notes, " "), "unique"):
					t.Errorf("round %d, person %d has no badge, and nothing says so: %+v", round, i, out)
				}
			}
			if have != 1 {
				t.Errorf("round %d: %d have the badge", round, have)
			}
		}
	})
}
