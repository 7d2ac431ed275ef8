package sso

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A repeated sign-in has a known number of ways to the database; on PostgreSQL it reads
// the connection, what the answer is checked with and the account, and writes at once.
func TestStatementsOfASignIn(t *testing.T) {
	t.Parallel()
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		handler, idp, login := benchDoor(t, db)
		var list []string
		for range 3 {
			r := benchAnswer(t, handler, idp, login, 1, 0)
			seen.Take()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusSeeOther {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			list = seen.Take()
		}
		want := 11
		if db.Dialect() == "postgres" {
			want = 4
		}
		if len(list) != want {
			t.Errorf("%d statements, want %d:\n%s", len(list), want, strings.Join(list, "\n---\n"))
		}
	})
}
