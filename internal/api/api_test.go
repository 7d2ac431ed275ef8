package api_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func ask(d *api.Door, header string) (access.Actor, error) {
	r := httptest.NewRequest("GET", "/api/v1/me", nil)
	r.Header.Set("Authorization", header)
	return d.Authenticate(r)
}

func TestAKeyIsItsRoleUntilItIsRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		org, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "rival")
		d := api.New(api.Options{DB: db})
		k, text, err := d.Create(ctx, admin, api.NewKey{Name: "Helpdesk", Role: access.Viewer})
		if err != nil {
			t.Fatal(err)
		}
		actor, err := ask(d, "bearer "+text)
		if err != nil || actor.Kind != access.Key || actor.Org != string(org) || !actor.May(access.ViewUsers) || actor.May(access.EditUsers) || actor.Operator {
			t.Fatalf("the key is %+v, %v", actor, err)
		}
		for name, header := range map[string]string{"wrong": "Bearer " + strings.Repeat("x", 43), "no scheme": text, "empty": "Bearer ", "basic": "Basic " + text} {
			if _, err := ask(d, header); !fault.Is(err, fault.SignIn) {
				t.Errorf("%s: %v", name, err)
			}
		}
		keys, err := d.Keys(ctx, admin)
		if err != nil || len(keys) != 1 || keys[0].ID != k.ID || keys[0].LastUsedAt == 0 {
			t.Errorf("keys %+v, %v", keys, err)
		}
		if err := d.Revoke(ctx, other, k.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("revoked by another organization: %v", err)
		}
		if err := d.Revoke(ctx, admin, k.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(d, "Bearer "+text); !fault.Is(err, fault.SignIn) {
			t.Errorf("a revoked key: %v", err)
		}
	})
}

func TestWhoMayMakeKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		org, admin := storetest.Org(t, db, "acme")
		d := api.New(api.Options{DB: db})
		person := func(role string) access.Actor {
			return access.Actor{Kind: access.Person, Org: string(org), Roles: []string{role}}
		}
		for _, c := range []struct {
			name  string
			actor access.Actor
			in    api.NewKey
			want  fault.Kind
		}{
			{"viewer", person(access.Viewer), api.NewKey{Role: access.Viewer}, fault.Denied},
			{"admin wants an operator's", person(access.Admin), api.NewKey{Operator: true}, fault.Denied},
			{"no such role", admin, api.NewKey{Role: "owner"}, fault.Invalid},
			{"operator with a role", admin, api.NewKey{Operator: true, Role: access.Admin}, fault.Invalid},
		} {
			if _, _, err := d.Create(ctx, c.actor, c.in); !fault.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		_, text, err := d.Create(ctx, access.Muster(""), api.NewKey{Operator: true})
		if err != nil {
			t.Fatal(err)
		}
		if actor, err := ask(d, "Bearer "+text); err != nil || !actor.Operator || actor.Org != "" || actor.In(string(org)).Org != string(org) {
			t.Errorf("the operator's key is %+v, %v", actor, err)
		}
	})
}
