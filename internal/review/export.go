package review

import (
	"context"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// exportPage is how many rows of a file are read at once.
const exportPage = 1000

// each hands all rows of a review to do, a page at a time.
func (s *Service) each(ctx context.Context, actor access.Actor, id ID, begin func(Review) error, do func(Review, Row) error) error {
	for after, first := 0, true; ; first = false {
		var review Review
		var list []Row
		err := s.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
			if review, err = s.kept(tx, id); err == nil {
				list, err = rowsOf(tx, id, Filter{}, after, 0, exportPage)
			}
			return err
		})
		if err == nil && first {
			err = begin(review)
		}
		if err != nil {
			return err
		}
		for _, row := range list {
			if err := do(review, row); err != nil {
				return err
			}
			after = row.N
		}
		if len(list) < exportPage {
			return nil
		}
	}
}

var columns = []string{"number", "person", "email", "person_id", "status", "kind", "role_or_team", "id", "reason", "since", "last_sign_in", "last_activity", "decision", "note", "decided_by", "decided_at"}

// export writes all rows as they are by now, as CSV or JSON.
func (s *Service) export(w http.ResponseWriter, r *http.Request) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	switch r.PathValue("file") {
	case "review.json":
		return s.exportJSON(w, r, id)
	case "review.csv":
	default:
		return fault.NotFound.Say("There is no such file here: it is review.csv or review.json.")
	}
	var file *web.CSV
	err = s.each(r.Context(), web.Actor(r), id, func(Review) (err error) {
		file, err = web.StartCSV(w, "review-"+string(id)+".csv", columns...)
		return err
	}, func(review Review, row Row) error {
		v := rowJSONOf(review, row)
		name := v.Name
		return file.Row(strconv.Itoa(v.Number), v.Person, v.Email, string(v.PersonID), v.Status, v.Kind, name, v.ID, v.Reason, v.Since, v.SignedIn, v.Deed, v.Decision, v.Note, v.DecidedBy, v.DecidedAt)
	})
	if err != nil {
		return err
	}
	return file.End()
}

// exportJSON writes one value with all rows.
func (s *Service) exportJSON(w http.ResponseWriter, r *http.Request, id ID) error {
	out := struct {
		View
		Rows []rowJSON `json:"rows"`
	}{Rows: []rowJSON{}}
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out.View, err = s.View(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	err = s.each(r.Context(), web.Actor(r), id, func(Review) error { return nil }, func(review Review, row Row) error {
		out.Rows = append(out.Rows, rowJSONOf(review, row))
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="review-`+string(id)+`.json"`)
	return web.JSON(w, http.StatusOK, out)
}
