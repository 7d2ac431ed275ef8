package account

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// mostExported is how many sign-ins and how many events an export has, the newest.
const mostExported = 2000

// exported is what is kept about a person, for the person. Secrets are not among it.
type exported struct {
	Organization string            `json:"organization"`
	ID           store.UserID      `json:"id"`
	UserName     string            `json:"user_name"`
	Email        string            `json:"email"`
	Status       store.Status      `json:"status"`
	Source       store.Source      `json:"source"`
	Directory    string            `json:"directory,omitempty"`
	CreatedAt    string            `json:"created_at"`
	UpdatedAt    string            `json:"updated_at"`
	Attributes   store.Doc         `json:"attributes"`
	Roles        []meRole          `json:"roles"`
	Groups       []string          `json:"groups"`
	Preferences  store.Preferences `json:"preferences"`
	Picture      []byte            `json:"picture,omitempty"` // JPEG, in base64
	Sessions     []exportedSession `json:"sessions"`
	SignIns      []exportedSignIn  `json:"sign_ins"`
	Activity     []exportedEvent   `json:"activity"`
}

type exportedSession struct {
	Method    string `json:"method"`
	CreatedAt string `json:"created_at"`
	SeenAt    string `json:"seen_at"`
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
}

type exportedSignIn struct {
	At      string `json:"at"`
	Method  string `json:"method"`
	IP      string `json:"ip"`
	Device  string `json:"device"`
	Refused string `json:"refused,omitempty"`
}

type exportedEvent struct {
	At     string `json:"at"`
	Action string `json:"action"`
	By     string `json:"by"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}

// export gives people all that is kept about them, as a file.
func (a *Account) export(w http.ResponseWriter, r *http.Request) error {
	s, err := a.self(r)
	if err != nil {
		return err
	}
	out := exported{Organization: s.Org.Name, ID: s.User.ID, UserName: s.User.UserName, Email: s.User.Email, Status: s.User.Status, Source: s.User.Source,
		Directory: s.Directory, CreatedAt: s.User.CreatedAt.RFC3339(), UpdatedAt: s.User.UpdatedAt.RFC3339(), Roles: s.Reasons, Groups: s.Groups}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(s.Org.ID)), func(tx *store.Tx) error { return a.fillExport(tx, s, &out) })
	if err != nil {
		return err
	}
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "user.export", TargetKind: "user", TargetID: actor.ID, TargetName: actor.Name})
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="account.json"`)
	return web.JSON(w, http.StatusOK, out)
}

func (a *Account) fillExport(tx *store.Tx, s self, out *exported) error {
	defs, err := tx.Definitions()
	if err != nil {
		return err
	}
	doc, err := s.User.Attributes()
	if err != nil {
		return err
	}
	out.Attributes = defs.Masked(doc)
	if out.Preferences, err = tx.Preferences(s.User.ID); err != nil {
		return err
	}
	var pictures [][]byte
	if err := tx.Select(&pictures, "SELECT image FROM pictures WHERE org_id = ? AND user_id = ?", tx.Org(), s.User.ID); err != nil {
		return err
	}
	if len(pictures) > 0 {
		out.Picture = pictures[0]
	}
	live, err := a.opts.Sessions.List(tx, s.User.ID)
	if err != nil {
		return err
	}
	out.Sessions = make([]exportedSession, len(live))
	for i, l := range live {
		out.Sessions[i] = exportedSession{l.Method, l.CreatedAt.RFC3339(), l.SeenAt.RFC3339(), l.IP, l.UserAgent}
	}
	return exportHistory(tx, s.User.ID, out)
}

func exportHistory(tx *store.Tx, user store.UserID, out *exported) error {
	out.SignIns, out.Activity = []exportedSignIn{}, []exportedEvent{}
	q := store.ActivityQuery{Target: string(user), Limit: 200}
	for len(out.Activity) < mostExported {
		list, err := tx.Activities(q)
		if err != nil {
			return err
		}
		for _, act := range list {
			at := act.At.RFC3339()
			if act.Action == "user.signin" || act.Action == "user.signin.refused" {
				ip, _ := act.Detail["ip"].(string)
				agent, _ := act.Detail["agent"].(string)
				method, _ := act.Detail["method"].(string)
				in := exportedSignIn{At: at, Method: method, IP: ip, Device: session.Device(agent)}
				if act.Action != "user.signin" {
					check, _ := act.Detail["check"].(string)
					if in.Refused = refusals[check]; in.Refused == "" {
						in.Refused = "Refused"
					}
				}
				out.SignIns = append(out.SignIns, in)
			}
			out.Activity = append(out.Activity, exportedEvent{At: at, Action: act.Action, By: act.ActorName, Before: act.Detail["before"], After: act.Detail["after"]})
		}
		if len(list) < q.Limit {
			return nil
		}
		q.Before = list[len(list)-1].ID
	}
	return nil
}
