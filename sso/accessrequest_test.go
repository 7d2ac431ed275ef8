package sso

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (p *place) asks(a answer.Profile) {
	p.t.Helper()
	a.SubjectKind = "sub"
	err := p.db.Write(context.Background(), actorOf(p.conn, access.Actor{}), func(tx *store.Tx) error {
		_, err := asked(tx, p.conn, a, "REFER-ENCES")
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) requests(state string) []AccessRequest {
	p.t.Helper()
	list, err := p.door().AccessRequests(context.Background(), p.admin, state)
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// From the refusal over the request to the sign-in that works.
func TestARequestIsApprovedAndTheNextSignInWorks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("existing")
		for range 3 {
			s.refused(newBrowser(t).open(c.URLs.Login), "not provisioned")
		}
		list := s.requests(RequestOpen)
		if len(list) != 1 || list[0].Times != 3 || list[0].Email != "ada@acme.example" || list[0].Name() != "Ada Example" {
			t.Fatalf("requests %+v, want one, tried 3 times", list)
		}
		if n := len(s.log("user.access.request")); n != 1 {
			t.Errorf("%d rows of activity about one request", n)
		}
		status, body := s.call("GET", "/console/acme/requests", nil)
		if status != http.StatusOK || !strings.Contains(body, "Ada Example") {
			t.Errorf("the list: %d\n%s", status, body)
		}
		webtest.Page(t, body)
		at := "/console/acme/requests/" + string(list[0].ID)
		_, body = s.call("GET", at, nil)
		webtest.Page(t, body)
		if status, body = s.call("POST", at+"/approve", url.Values{"user": {"nobody"}}); status < 400 || !strings.Contains(body, "nobody") {
			t.Errorf("approved for nobody: %d", status)
		}
		if status, body = s.call("POST", at+"/approve", url.Values{"role": {"viewer"}}); status != http.StatusOK {
			t.Errorf("approve: %d\n%s", status, body)
		}
		p := newBrowser(t).open(c.URLs.Login)
		if !p.signedIn() {
			t.Fatalf("after the approval: %d %s", p.status, p.body)
		}
		q := s.requests(RequestApproved)[0]
		if roles := s.rolesOf(q.UserID); len(roles) != 1 || roles[0] != access.Viewer {
			t.Errorf("roles %v, want viewer", roles)
		}
		if _, err := s.door.Approve(context.Background(), s.admin, q.ID, Approval{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("approved twice: %v, want a conflict", err)
		}
	})
}

func TestARequestIsBoundToWhoIsHereOrDeclined(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		p := somewhere(t, db, "acme", "oidc", "scim")
		boss := p.managed("boss", "boss@acme.example", "x")
		ann := p.user("ann@acme.example", store.Active)
		ctx := context.Background()
		p.asks(who("s1", "boss@home.example", answer.Unsaid))
		q := p.requests(RequestOpen)[0]
		for name, in := range map[string]Approval{"a new account": {}, "somebody of no directory": {User: ann.UserName}} {
			if _, err := p.door().Approve(ctx, p.admin, q.ID, in); !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s on a connection of the directory: %v", name, err)
			}
		}
		root, admin := p.operator("root@acme.example"), access.Actor{Kind: access.Person, Org: string(p.org), ID: string(ann.ID), Roles: []string{access.Admin}}
		if _, err := p.door().Approve(ctx, admin, q.ID, Approval{User: root.UserName}); !fault.Is(err, fault.Denied) {
			t.Errorf("bound to an operator's account: %v, want denied", err)
		}
		if _, err := p.door().Approve(ctx, p.admin, q.ID, Approval{User: "boss"}); err != nil {
			t.Fatal(err)
		}
		if u, err := p.come(who("s1", "", answer.Unsaid)); err != nil || u.ID != boss.ID {
			t.Errorf("the next sign-in: %s, %v; want %s", u.ID, err, boss.ID)
		}
		// One identity on each connection.
		p.asks(who("s2", "", answer.Unsaid))
		q2 := p.requests(RequestOpen)[0]
		if _, err := p.door().Approve(ctx, p.admin, q2.ID, Approval{User: "boss"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second identity for one person: %v, want a conflict", err)
		}
		if _, err := p.door().Decline(ctx, p.admin, q2.ID); err != nil {
			t.Fatal(err)
		}
		p.asks(who("s2", "", answer.Unsaid))
		if n := len(p.requests(RequestOpen)); n != 0 {
			t.Errorf("%d open requests: a declined one stays so", n)
		}
		clock.Pass(declinedFor + time.Hour)
		p.asks(who("s2", "", answer.Unsaid))
		if n := len(p.requests(RequestOpen)); n != 1 {
			t.Errorf("%d open requests 30 days later, want 1", n)
		}
		other := somewhere(t, db, "globex", "oidc", "jit")
		if _, err := other.door().Approve(ctx, other.admin, q2.ID, Approval{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization's request: %v, want not found", err)
		}
		viewer := access.Actor{Kind: access.Person, Org: string(p.org), Roles: []string{access.Viewer}}
		if _, err := p.door().AccessRequests(ctx, viewer, ""); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer: %v, want denied", err)
		}
	})
}

// Of several admins at once one makes the account.
func TestARequestIsApprovedOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "existing")
		p.asks(who("s1", "ada@acme.example", answer.Unsaid))
		q := p.requests(RequestOpen)[0]
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = p.door().Approve(context.Background(), p.admin, q.ID, Approval{}) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if won != 1 || p.count() != 1 {
			t.Errorf("%d approvals, %d people; want 1 and 1", won, p.count())
		}
	})
}

// Admins are told, once a day and not once a person, by one of the servers.
func TestAdminsAreToldOfRequestsOnceADay(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		p := somewhere(t, db, "acme", "oidc", "existing")
		var mu sync.Mutex
		var told []web.Notice
		d := New(Options{DB: db, PublicURL: "http://muster.test", Tell: func(tx *store.Tx, n web.Notice) error {
			tx.AfterCommit(func() { mu.Lock(); told = append(told, n); mu.Unlock() })
			return nil
		}})
		tell := func(want int) {
			t.Helper()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if err := d.TellRequests(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(told) != want {
				t.Errorf("%d mails, want %d: %+v", len(told), want, told)
			}
		}
		tell(0)
		p.asks(who("s1", "ada@acme.example", answer.Unsaid))
		p.asks(who("s2", "bea@acme.example", answer.Unsaid))
		tell(1)
		p.asks(who("s1", "ada@acme.example", answer.Unsaid))
		p.asks(who("s3", "cem@acme.example", answer.Unsaid))
		tell(1)
		clock.Pass(25 * time.Hour)
		tell(2)
		if text := fmt.Sprint(told[1].Lines); !strings.Contains(text, "cem@") || strings.Contains(text, "ada@") {
			t.Errorf("the second mail is about %q, want the new one alone", text)
		}
	})
}

// A flood of strangers ends in a bounded table.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "existing")
		p.asks(who("first", "", answer.Unsaid))
		if _, err := db.Sweep(context.Background(), fillRequests, p.org, maxOpenRequests-1); err != nil {
			t.Fatal(err)
		}
		p.asks(who("one too many", "", answer.Unsaid))
		p.asks(who("first", "", answer.Unsaid))
		if n := len(p.requests(RequestOpen)); n != maxOpenRequests {
			t.Errorf("%d open requests, want %d", n, maxOpenRequests)
		}
	})
}

// fillRequests copies one request many times.
const fillRequests = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 499)
	INSERT INTO access_requests (org_id, id, connection_id, subject_kind, subject, email, user_name, given_name, family_name, display_name, reference, state, times, created_at, last_at)
	SELECT r.org_id, CAST('0000000000000000000000000000' || (1000 + n.i) AS {{id}}), r.connection_id, 'sub', 'x' || n.i, '', '', '', '', '', '', 'open', 1, 0, 0
	FROM access_requests r, n WHERE r.org_id = ? AND n.i <= ?`
