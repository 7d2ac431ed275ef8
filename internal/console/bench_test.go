package console_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// crowd adds n people with documents of the usual size, as a directory of a large
// organization has them: 1 in 20 deactivated, 1 in 100 invited, 1 in 50 a viewer, and a
// team of all.
func (s *site) crowd(n int) store.GroupID {
	s.t.Helper()
	type row struct {
		ID     string `json:"id"`
		N      int    `json:"n"`
		Key    string `json:"key"`
		Name   string `json:"name"`
		Status string `json:"status"`
		Sort   string `json:"sort"`
		Word   string `json:"word"`
		Doc    any    `json:"doc"`
	}
	first := []string{"Ada", "Grace", "Linus", "Barbara", "Edsger", "Frances", "Alan", "Radia", "Donald", "Margaret", "Ken", "Hedy"}
	last := []string{"Lovelace", "Hopper", "Torvalds", "Liskov", "Dijkstra", "Allen", "Turing", "Perlman", "Knuth", "Hamilton", "Thompson", "Lamarr", "Zuse"}
	team := store.NewID[store.Group]()
	for at := 0; at < n; at += 2000 {
		var rows []row
		for i := at; i < min(at+2000, n); i++ {
			family, given := fmt.Sprintf("%s%d", last[i%len(last)], i%997), first[i%len(first)]
			name := fmt.Sprintf("u%06d@big.example", i)
			status := "active"
			if i%20 == 3 {
				status = "deactivated"
			} else if i%100 == 7 {
				status = "invited"
			}
			doc := store.Profile{UserName: name, Email: fmt.Sprintf("%s.%s.%d@big.example", given, family, i), GivenName: given, FamilyName: family, DisplayName: given + " " + family,
				Title: "Staff Engineer of many things", Department: "Research and Development", EmployeeNumber: fmt.Sprint(700000 + i), Phone: "+49 30 1234567"}.Doc()
			doc["addresses"] = []any{map[string]any{"type": "work", "streetAddress": "Unter den Linden 1", "locality": "Berlin", "postalCode": "10117", "country": "DE"}}
			rows = append(rows, row{string(store.NewID[store.User]()), i, name, given + " " + family, status, store.Fold(family + " " + given), fmt.Sprint(700000 + i), doc})
		}
		list, err := json.Marshal(rows)
		if err != nil {
			s.t.Fatal(err)
		}
		s.write(s.muster, func(tx *store.Tx) error {
			for _, x := range []struct {
				sql  string
				args []any
			}{
				{`INSERT INTO users (org_id, id, source, status, break_glass, user_name, user_name_key, email, email_key, display_name, sort_key, search_key, word_key, doc, version, created_at, updated_at, signed_in_at, signed_in_with)
					SELECT {{as_id}}, CAST(e.value ->> 'id' AS {{id}}), 'scim', e.value ->> 'status', FALSE, e.value ->> 'key', e.value ->> 'key', e.value ->> 'key', e.value ->> 'key', e.value ->> 'name', e.value ->> 'sort', e.value ->> 'sort', e.value ->> 'word',
					e.value -> 'doc', 1, {{as_int}} + CAST(e.value ->> 'n' AS {{int}}), 1, CASE WHEN CAST(e.value ->> 'n' AS {{int}}) % 3 = 0 THEN 0 ELSE {{as_int}} - CAST(e.value ->> 'n' AS {{int}}) * 60000000 END, 'saml'
					FROM {{each}} WHERE 1 = 1`, []any{tx.Org(), tx.Now().Add(-time.Hour), tx.Now(), string(list)}},
				{`INSERT INTO user_values (org_id, attr, value_key, kind, user_id) SELECT {{as_id}}, ' word', lower(substr(e.value ->> 'name', 1, 4)), '', CAST(e.value ->> 'id' AS {{id}}) FROM {{each}} WHERE 1 = 1`, []any{tx.Org(), string(list)}},
				{`INSERT INTO members (org_id, group_id, user_id, since) SELECT {{as_id}}, {{as_id}}, CAST(e.value ->> 'id' AS {{id}}), 1 FROM {{each}} WHERE 1 = 1`, []any{tx.Org(), team, string(list)}},
				{`INSERT INTO user_roles (org_id, user_id, role, reason_kind, reason_ref, since) SELECT {{as_id}}, CAST(e.value ->> 'id' AS {{id}}), 'viewer', 'manual', '', 1 FROM {{each}} WHERE CAST(e.value ->> 'n' AS {{int}}) % 50 = 1`,
					[]any{tx.Org(), string(list)}},
				{`INSERT INTO counts (org_id, directory_id, kind, slot, n) VALUES (?, {{as_id}}, 'user', 0, ?) ON CONFLICT (org_id, directory_id, kind, slot) DO UPDATE SET n = counts.n + excluded.n`,
					[]any{tx.Org(), "00000000000000000000000000000000", len(rows)}},
			} {
				if _, err := tx.Exec(x.sql, x.args...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	s.write(s.muster, func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO groups (org_id, id, name, name_key, unique_name, doc, version, created_at, updated_at) VALUES (?, ?, 'All of them', 'all of them', TRUE, {{as_json}}, 1, 1, 1)`,
			tx.Org(), team, `{"displayName":"All of them"}`); err != nil {
			return err
		}
		_, err := tx.Exec("ANALYZE")
		return err
	})
	return team
}

// view is a list of people by what stands in its address.
type view struct{ name, query string }

// behind is a place in an order by text, far from its beginning.
func behind(text string) string {
	at := fmt.Sprintf(`{"Text":%q,"ID":"ffffffffffffffffffffffffffffffff"}`, text)
	return base64.RawURLEncoding.EncodeToString([]byte(at))
}

// views are filters and orders alone, and those that are bad together.
func views(team string) []view {
	of := "&team=" + team
	return []view{{"all", ""}, {"all-last-name-first", "?sort=-name"}, {"all-by-address", "?sort=email"}, {"all-by-sign-in", "?sort=signin"}, {"all-by-last-sign-in", "?sort=-signin"},
		{"all-newest-first", "?sort=-created"}, {"all-by-status", "?sort=status"}, {"active", "?status=active"}, {"active-by-last-sign-in", "?status=active&sort=-signin"}, {"deactivated", "?status=deactivated"},
		{"invited-by-last-sign-in", "?status=invited&sort=-signin"}, {"viewers", "?role=viewer"}, {"default-role", "?role=agent"}, {"admins", "?role=" + access.Admin}, {"team-of-all", "?team=" + team},
		{"team-of-all-by-status", "?sort=status&team=" + team}, {"team-of-all-deactivated", "?status=deactivated&team=" + team}, {"source", "?source=scim"}, {"no-directory", "?directory=none"},
		{"never-signed-in", "?signin=never"}, {"not-for-30-days", "?signin=not30d"}, {"created-today", "?created=1d"}, {"word", "?q=lovelace1"}, {"two-common-words", "?q=gra+hop"}, {"user-name", "?q=u012345"},
		{"employee-number", "?q=712345"}, {"two-letters", "?q=ra"}, {"one-letter", "?q=z"}, {"one-letter-of-all", "?q=u"}, {"word-and-letter-of-all", "?q=gra+u"}, {"word-deactivated-by-last-sign-in", "?q=knuth&status=deactivated&sort=-signin"},
		{"nobody", "?q=nobody-at-all"},
		{"word-and-letter-by-last-sign-in", "?q=gra+u&sort=-signin"}, {"word-and-letter-deep", "?q=gra+u&after=" + behind("perlman500")}, {"word-and-letter-deactivated", "?q=gra+u&status=deactivated"},
		{"three-words", "?q=u+gra+hop"}, {"two-letters-of-many", "?q=g+u"}, {"letter-of-all-twice", "?q=u+u0"}, {"letter-of-all-by-status", "?q=u&sort=status"}, {"letter-of-all-deactivated-by-last-sign-in", "?q=u&status=deactivated&sort=-signin"},
		{"letter-of-all-team-deep", "?q=u&after=" + behind("perlman500") + of}, {"letter-of-all-default-role", "?q=u&role=agent"}, {"letter-of-all-viewers-by-last-sign-in", "?q=u&role=viewer&sort=-signin"}, {"letter-last-name-first", "?q=z&sort=-name"},
		{"three-filters", "?status=active&source=scim&signin=never"}, {"three-filters-by-last-sign-in", "?status=active&role=viewer&signin=30d&sort=-signin"}, {"team-of-all-default-role-never", "?role=agent&signin=never" + of},
		{"team-of-all-invited-by-address", "?status=invited&sort=email" + of}, {"team-of-all-not-for-30-days-by-last-sign-in", "?status=active&signin=not30d&sort=-signin" + of}, {"team-of-all-deep", "?after=" + behind("perlman500") + of},
		{"team-of-all-viewers", "?role=viewer" + of}, {"default-role-deactivated-by-last-sign-in", "?role=agent&status=deactivated&sort=-signin"}, {"deactivated-last-name-first-deep", "?status=deactivated&sort=-name&after=" + behind("lamarr500")},
		{"license", "?license=full"}, {"license-team-of-all-by-last-sign-in", "?license=full&sort=-signin" + of}, {"no-second-factor", "?trait=nofactor"}, {"no-second-factor-team-of-all-deactivated", "?trait=nofactor&status=deactivated" + of}}
}

// BenchmarkManageUsers is the page from the request to the last byte, with 100,000 people.
// -benchtime=20x is enough.
func BenchmarkManageUsers(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL, "postgres": storetest.PostgresURL} {
		b.Run(name, func(b *testing.B) {
			at := url(b)
			db, err := store.Open(b.Context(), store.Options{URL: at, MaxConns: 8, NoSync: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { db.Close() })
			s, cpu := newSite(b, db), storetest.CPU(b, at)
			team := s.crowd(100_000)
			s.write(s.muster, func(tx *store.Tx) error {
				return tx.SetLicenses([]store.License{{ID: "light", Name: "Light", Roles: []string{access.Viewer}, Limit: store.NoLimit}, {ID: "full", Name: "Full", Fallback: true, Limit: store.NoLimit}})
			})
			for _, c := range views(string(team)) {
				b.Run(c.name, func(b *testing.B) {
					var took []time.Duration
					size, n := 0, 0
					spent := cpu()
					for b.Loop() {
						n++
						begun := time.Now()
						w := s.do("boss", "GET", "/console/acme/users"+c.query, nil)
						took = append(took, time.Since(begun))
						if size = w.Body.Len(); w.Code != http.StatusOK {
							b.Fatalf("%d %s", w.Code, w.Body)
						}
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(took[0].Microseconds())/1000, "min-ms")
					b.ReportMetric(float64((cpu()-spent).Microseconds())/1000/float64(n), "cpu-ms")
					b.ReportMetric(float64(size), "bytes")
				})
			}
		})
	}
}
