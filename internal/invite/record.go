package invite

import (
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// fromRecord fills the form with what an application's record says of a person, who is
// linked to it then.
func (d *Door) fromRecord(r *http.Request, f *web.Form) error {
	text := r.URL.Query().Get("record")
	if text == "" {
		return nil
	}
	ref, err := records.ParseRef(text)
	if err != nil {
		return err
	}
	var one records.Record
	if err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) { one, err = records.Get(tx, ref); return err }); err != nil {
		return err
	}
	f.Set("record", ref.String())
	f.Set("email", one.Address)
	given, family, two := strings.Cut(one.Name, " ")
	if !two {
		given, family = "", one.Name
	}
	f.Set("given_name", given)
	f.Set("family_name", strings.TrimSpace(family))
	return nil
}
