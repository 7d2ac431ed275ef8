package operate_test

import (
	"context"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheDoctorsFindings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		const at = "/console/-/doctor"
		d.want("olga", "GET", at, "", 200, "Nobody has examined this server yet")
		all := false
		d.examine = func(_ context.Context, data bool) ([]operate.Check, error) {
			all = data
			return []operate.Check{{Name: web.Say("mail domains"), Status: "warn", Detail: web.Say("The DNS record is missing of:"), Todo: web.Say("Restore a backup, or report this."),
				Items: []operate.Item{{Org: "acme", Text: web.Say("%s", "acme.example <b>")}}}}, nil
		}
		d.want("olga", "POST", at, "data=yes", 303)
		d.want("olga", "GET", at, "", 200, "mail domains", "acme.example &lt;b&gt;", "/console/-/organizations/acme", "by olga", "Restore a backup")
		if !all || strings.Join(d.actions(store.NoOrg), " ") != "doctor.run" {
			t.Errorf("with data: %v; on record: %v", all, d.actions(store.NoOrg))
		}
		// One at a time.
		begun, end := make(chan bool), make(chan bool)
		d.examine = func(context.Context, bool) ([]operate.Check, error) {
			close(begun)
			<-end
			return nil, nil
		}
		done := make(chan error)
		go func() { done <- d.door.Examine(context.Background(), d.actors["olga"], false) }()
		<-begun
		d.want("olga", "POST", at, "data=", 409, "right now")
		close(end)
		if err := <-done; err != nil {
			t.Error(err)
		}
		// The oldest runs go.
		d.examine = func(context.Context, bool) ([]operate.Check, error) { return nil, nil }
		for range 12 {
			if err := d.door.Examine(t.Context(), d.actors["olga"], false); err != nil {
				t.Fatal(err)
			}
		}
		var n int
		if err := db.Read(t.Context(), access.Muster(""), func(tx *store.Tx) error { return tx.Get(&n, "SELECT count(*) FROM doctor_runs") }); err != nil || n != 10 {
			t.Errorf("%d runs are kept, %v", n, err)
		}
	})
}

func TestServersThatRun(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db)
		const at = "/console/-/server"
		d.want("olga", "GET", at, "", 200, "No server has been heard of yet", "1.2.3")
		me := operate.Server{ID: store.NewID[operate.Server](), Host: "one", Version: "1.2.3", Started: store.TimeOf(clock.Now())}
		for range 2 {
			if err := d.door.Beat(t.Context(), me); err != nil {
				t.Fatal(err)
			}
		}
		d.want("olga", "GET", at, "", 200, "Running", "send mail: &lt;b&gt;refused", "all that this program needs")
		clock.Pass(5 * 60e9)
		d.want("olga", "GET", at, "", 200, "Not heard of")
		clock.Pass(25 * 3600e9)
		if err := d.door.Beat(t.Context(), operate.Server{ID: store.NewID[operate.Server](), Host: "two"}); err != nil {
			t.Fatal(err)
		}
		if page := d.want("olga", "GET", at, "", 200, "two"); strings.Contains(page, "s-"+string(me.ID)) {
			t.Error("a server that is long gone is shown")
		}
		// One that starts and stops says so.
		if err := d.door.Appear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list, err := d.door.Servers(t.Context()); err != nil || len(list) != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := d.door.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.door.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list, err := d.door.Servers(t.Context()); err != nil || len(list) != 1 || list[0].Host != "two" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
