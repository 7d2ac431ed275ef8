package review_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Of two admins the second sees that the first was faster, and all that was chosen.
func TestTwoAdminsChangeAReview(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		at := strings.Replace(d.start(""), "/api/v1/", "/console/acme/", 1)
		opened := webtest.Version(d.ask(200, "root", "GET", at, ""))
		day := func(n int) string { return clock.Now().Add(time.Duration(n) * 24 * time.Hour).Format(time.DateOnly) }
		d.ask(303, "root", "POST", at+"/change", url.Values{"version": {opened}, "due": {day(3)}, "reviewer": {string(d.ids["root"]), string(d.ids["bob"])}}.Encode())
		late := url.Values{"version": {opened}, "due": {day(9)}, "reviewer": {string(d.ids["root"])}}
		text := d.ask(409, "root", "POST", at+"/change", late.Encode())
		if !strings.Contains(text, "Somebody else changed these settings meanwhile") || !strings.Contains(text, `value="`+day(9)+`"`) || strings.Contains(text, `value="`+string(d.ids["bob"])+`" checked`) {
			t.Errorf("somebody else was faster: %s", text)
		}
		late.Set("version", webtest.Version(text))
		d.ask(303, "root", "POST", at+"/change", late.Encode())
	})
}
