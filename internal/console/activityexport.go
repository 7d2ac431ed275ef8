package console

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// ActivityRow is a row of the record as programs read it.
type ActivityRow struct {
	ID         store.ActivityID `json:"id"`
	At         string           `json:"at"`
	ActorKind  access.Kind      `json:"actor_kind"`
	ActorID    string           `json:"actor_id,omitempty"`
	Actor      string           `json:"actor"`
	Action     string           `json:"action"`
	TargetKind string           `json:"target_kind"`
	TargetID   string           `json:"target_id,omitempty"`
	Target     string           `json:"target,omitempty"`
	Detail     map[string]any   `json:"detail"`
}

func activityRow(a store.Activity) ActivityRow {
	return ActivityRow{ID: a.ID, At: a.At.RFC3339(), ActorKind: a.ActorKind, ActorID: a.ActorID, Actor: actorName(a), Action: a.Action,
		TargetKind: a.TargetKind, TargetID: a.TargetID, Target: a.TargetName, Detail: a.Detail}
}

// The forms of an export.
const (
	FormatCSV   = "csv"
	FormatLines = "jsonl" // a JSON object on each line
)

// activityColumns are those of the CSV file. before, after and the rest are JSON.
var activityColumns = []string{"at", "actor_kind", "actor", "actor_id", "action", "target_kind", "target", "target_id", "why", "ip", "reference", "before", "after", "detail", "id"}

func (r ActivityRow) cells() []string {
	rest := map[string]any{}
	for k, v := range r.Detail {
		switch k {
		case "why", "ip", "reference", "before", "after":
		default:
			rest[k] = v
		}
	}
	return []string{r.At, string(r.ActorKind), r.Actor, r.ActorID, r.Action, r.TargetKind, r.Target, r.TargetID, text(r.Detail, "why"), text(r.Detail, "ip"), text(r.Detail, "reference"),
		inJSON(r.Detail["before"]), inJSON(r.Detail["after"]), inJSON(rest), string(r.ID)}
}

// inJSON is empty for what is not there.
func inJSON(v any) string {
	if m, ok := v.(map[string]any); v == nil || ok && len(m) == 0 {
		return ""
	}
	b, _ := json.Marshal(v) // it came from JSON
	return string(b)
}

// ExportActivity writes every row that the filter chooses, newest first, and before the
// first one notes in the record that somebody took them along. Rows that are added
// meanwhile are left out. begin is called once nothing is refused any more, and says
// where to. Faults: Denied, and those of the filter.
func ExportActivity(ctx context.Context, db *store.DB, actor access.Actor, f ActivityFilter, format string, begin func() io.Writer) error {
	if format != FormatCSV && format != FormatLines {
		return fault.Invalid.On("format", "%.40q is no format. There are csv and jsonl.", format)
	}
	var found found
	err := db.Write(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.ViewActivity); err != nil {
			return err
		}
		if found, err = f.look(tx); err != nil {
			return err
		}
		if found.query.Before == "" {
			found.query.Before = store.NewID[store.Activity]()
		}
		filter := map[string]any{"format": format}
		for name, values := range f.values() {
			filter[name] = values[0]
		}
		return tx.Record(store.Activity{Action: "activity.export", TargetKind: "org", TargetID: string(tx.Org()), Detail: map[string]any{"filter": filter}})
	})
	if err != nil {
		return err
	}
	file, err := newActivityFile(begin(), format)
	if err != nil {
		return err
	}
	for found.query.Limit = 200; ; {
		var acts []store.Activity
		err := db.Read(ctx, actor, func(tx *store.Tx) (err error) {
			acts, err = tx.Activities(found.query)
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range acts {
			if err := file.put(activityRow(a)); err != nil {
				return err
			}
			found.query.Before = a.ID
		}
		if len(acts) < found.query.Limit {
			return file.end()
		}
	}
}

func (c *Console) exportActivity(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := activityFilter(q)
	if err != nil {
		return err
	}
	return c.export(w, r, f, q.Get("format"))
}

// export sends the file row by row. What breaks in the middle breaks the connection, so
// that nobody takes half a file for the whole.
func (c *Console) export(w http.ResponseWriter, r *http.Request, f ActivityFilter, format string) error {
	begun := false
	err := ExportActivity(r.Context(), c.opt.DB, web.Actor(r), f, format, func() io.Writer {
		begun = true
		kind := "text/csv"
		if format == FormatLines {
			kind = "application/jsonl"
		}
		w.Header().Set("Content-Type", kind+"; charset=utf-8")
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": "activity." + format}))
		w.Header().Set("Cache-Control", "no-store")
		return w
	})
	if err != nil && begun {
		c.opt.Log.WarnContext(r.Context(), "export of the activity broke off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// activityFile is an export as it is written.
type activityFile struct {
	csv   *web.CSV
	lines *json.Encoder
}

func newActivityFile(w io.Writer, format string) (f activityFile, err error) {
	if format == FormatCSV {
		f.csv, err = web.WriteCSV(w, activityColumns...)
		return f, err
	}
	f.lines = json.NewEncoder(w)
	return f, nil
}

func (f activityFile) put(row ActivityRow) error {
	if f.csv != nil {
		return f.csv.Row(row.cells()...)
	}
	return f.lines.Encode(row)
}

func (f activityFile) end() error {
	if f.csv != nil {
		return f.csv.End()
	}
	return nil
}

// actorName is who for programs: the kind where there is no name, which of somebody unknown
// says no more than actor_kind.
func actorName(a store.Activity) string {
	if a.ActorName != "" {
		return a.ActorName
	}
	if a.ActorKind == access.Anonymous {
		return ""
	}
	return string(a.ActorKind)
}
