package sso

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// The sign-ins of an organization, whichever door they came through: who, over what, how
// it ended and why. What happened stands in the activity log; store finds it; here it is
// explained, with what to change at the vendor (remedy.go).

const (
	signInsShown = 50
	signInsMost  = 200
)

// SignInFilter chooses sign-ins as somebody typed it. Empty fields choose all.
type SignInFilter struct {
	Reference    string
	Person       string // address, user name, id or subject
	Connection   string // id
	Result       string // in, refused
	Check        string
	Since, Until string // RFC 3339, a day (2026-11-30, in UTC), or how long ago (24h)
	Cursor       string // SignInPage.Next of the page before
	Limit        int    // 50 when 0, 200 at most
}

// SignInPage is sign-ins, newest first.
type SignInPage struct {
	SignIns []SignInEntry `json:"signins"`
	Next    string        `json:"next,omitempty"` // cursor of the next page; empty: there is none
}

// SignInEntry is one sign-in.
type SignInEntry struct {
	ID             string `json:"id"`
	Time           string `json:"time"`
	Result         string `json:"result"`            // in, refused
	SignOut        bool   `json:"signout,omitempty"` // a sign-out was refused
	Reference      string `json:"reference,omitempty"`
	Method         string `json:"method"`
	ConnectionID   string `json:"connection_id,omitempty"`
	Connection     string `json:"connection,omitempty"` // its name
	UserID         string `json:"user_id,omitempty"`
	Name           string `json:"name,omitempty"`    // of the person, as far as one is known
	Email          string `json:"email,omitempty"`   // as the provider said it
	Subject        string `json:"subject,omitempty"` // as the provider said it
	Check          string `json:"check,omitempty"`   // what failed
	Reason         string `json:"reason,omitempty"`  // why, in a sentence
	Hint           string `json:"hint,omitempty"`    // what of it can be changed
	Remedy         string `json:"what_to_do,omitempty"`
	IP             string `json:"ip,omitempty"`
	Device         string `json:"device,omitempty"` // browser and system: Firefox on Windows
	RequestID      string `json:"request_id,omitempty"`
	Repeats        int    `json:"repeats,omitempty"` // refusals like it that have no entry
	SessionID      string `json:"session_id,omitempty"`
	Certificate    string `json:"certificate,omitempty"`      // SHA-256 of the one that verified the answer
	KeyID          string `json:"key_id,omitempty"`           // of the key that verified the ID token
	ProviderStated string `json:"authenticated_at,omitempty"` // when the provider says that the person signed in there

	// The same as Reason and Hint, for a page in its reader's language.
	ReasonSaid web.Said `json:"-"`
	HintSaid   web.Said `json:"-"`

	Checks  answer.Trace    `json:"checks,omitempty"`  // SignIn alone: each check, expected and received
	Account json.RawMessage `json:"account,omitempty"` // SignIn alone: how the account, the roles and the teams came about; see Outcome
}

func (f SignInFilter) query(now time.Time) (store.SignInQuery, error) {
	clean := func(s string) string { return strings.TrimSpace(shown(s, 200)) }
	q := store.SignInQuery{Reference: strings.ToUpper(clean(f.Reference)), Person: clean(f.Person), Check: clean(f.Check), Limit: f.Limit}
	if q.Limit == 0 {
		q.Limit = signInsShown
	}
	if q.Limit < 1 || q.Limit > signInsMost {
		return q, fault.Invalid.On("limit", "limit is %d; it can be 1 to %d.", f.Limit, signInsMost)
	}
	if q.Result = f.Result; !oneOf(q.Result, "", store.SignedIn, store.SignInFailed) {
		return q, fault.Invalid.On("result", "There is no result %.40q. Choose in or refused.", f.Result)
	}
	if f.Connection != "" {
		id, err := store.ParseID[Connection](f.Connection)
		if err != nil {
			return q, fault.Invalid.On("connection", "%.64q is no connection's id.", f.Connection)
		}
		q.Connection = string(id)
	}
	var err error
	if q.From, err = store.ParseMoment("since", f.Since, now, 0); err != nil {
		return q, err
	}
	if q.To, err = store.ParseMoment("until", f.Until, now, 1); err != nil {
		return q, err
	}
	if f.Cursor != "" {
		q.Before, err = signInCursor(f.Cursor)
	}
	return q, err
}

func idOf(s store.SignIn) string { return strconv.FormatInt(int64(s.At), 10) + "-" + string(s.ID) }

func signInCursor(text string) (c store.SignInCursor, err error) {
	at, id, _ := strings.Cut(text, "-")
	n, err1 := strconv.ParseInt(at, 10, 64)
	c.At = store.Time(n)
	if c.ID, err = store.ParseID[store.Activity](id); err != nil || err1 != nil {
		return c, fault.NotFound.Say("There is no sign-in %.80q, or not any more.", text)
	}
	return c, nil
}

// SignIns lists them. Faults: Denied, Invalid on the field.
func (d *Door) SignIns(tx *store.Tx, f SignInFilter) (SignInPage, error) {
	page := SignInPage{SignIns: []SignInEntry{}}
	q, err := f.query(d.opts.DB.Now())
	if err != nil {
		return page, err
	}
	limit := q.Limit
	q.Limit++
	list, err := tx.SignIns(q)
	if err != nil {
		return page, err
	}
	if len(list) > limit {
		list = list[:limit]
		page.Next = idOf(list[limit-1])
	}
	page.SignIns, err = explained(tx, list, false)
	return page, err
}

// SignIn explains one, named by its id or by its reference. Faults: Denied, NotFound.
func (d *Door) SignIn(tx *store.Tx, name string) (SignInEntry, error) {
	missing := fault.NotFound.On("reference", "There is no sign-in %.80q here, or not any more.", name)
	q := store.SignInQuery{Limit: 1}
	if at, err := signInCursor(name); err == nil {
		q.Before, q.Only = at, at.ID
	} else if q.Reference = strings.ToUpper(strings.TrimSpace(shown(name, 40))); q.Reference == "" {
		return SignInEntry{}, missing
	}
	list, err := tx.SignIns(q)
	if err == nil && len(list) == 0 {
		err = missing
	}
	if err != nil {
		return SignInEntry{}, err
	}
	entries, err := explained(tx, list, true)
	if err != nil {
		return SignInEntry{}, err
	}
	return entries[0], nil
}

// FindSignIn explains a reference of any organization, or of none. For operators.
// Faults: Denied, NotFound.
func (d *Door) FindSignIn(ctx context.Context, actor access.Actor, reference string) (e SignInEntry, org store.OrgID, err error) {
	if !actor.May(access.Operate) {
		return e, "", fault.Denied.Say("Only an operator of this server can look through all organizations.")
	}
	s, err := d.opts.DB.FindSignIn(ctx, strings.ToUpper(strings.TrimSpace(shown(reference, 40))))
	if err != nil {
		return e, "", err
	}
	err = d.opts.DB.Read(ctx, actor.In(string(s.Org)), func(tx *store.Tx) error {
		e, err = d.SignIn(tx, idOf(s))
		return err
	})
	return e, s.Org, err
}

// explained joins what was found with what happened.
func explained(tx *store.Tx, list []store.SignIn, whole bool) ([]SignInEntry, error) {
	out := []SignInEntry{}
	if len(list) == 0 {
		return out, nil
	}
	ids := make([]store.ActivityID, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	acts, err := tx.Activities(store.ActivityQuery{IDs: ids})
	if err != nil {
		return nil, err
	}
	of := make(map[store.ActivityID]store.Activity, len(acts))
	for _, a := range acts {
		of[a.ID] = a
	}
	connections, err := connectionsIn(tx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]Connection, len(connections))
	for _, c := range connections {
		known[string(c.ID)] = c
	}
	for _, s := range list {
		out = append(out, entryOf(s, of[s.ID], known[s.Connection], whole))
	}
	return out, nil
}

func entryOf(s store.SignIn, a store.Activity, c Connection, whole bool) SignInEntry {
	text := func(key string) string { v, _ := a.Detail[key].(string); return v }
	e := SignInEntry{ID: idOf(s), Time: s.At.RFC3339(), Result: s.Result, Reference: s.Reference, Method: s.Method, ConnectionID: s.Connection, Connection: c.Name,
		UserID: string(s.User), Email: text("email"), Subject: s.Subject, Check: s.Check, Reason: text("why"), Hint: text("hint"), IP: text("ip"), Device: session.Device(text("agent")), RequestID: text("request"),
		Repeats: s.Repeats, SessionID: text("session"), Certificate: text("certificate"), KeyID: text("key"), ProviderStated: text("authenticated_at")}
	e.ReasonSaid, e.HintSaid = web.Say(e.Reason), web.Say(e.Hint)
	if said := saidIn(a); !said["why"].IsZero() {
		e.ReasonSaid, e.HintSaid = said["why"], said["hint"]
	}
	e.SignOut = a.Action == "user.signout.refused"
	if a.TargetKind == "user" {
		e.Name = a.TargetName
	}
	trace := traceOf(a)
	if s.Result == store.SignInFailed {
		if e.Check == "" && s.Method == "password" {
			e.Check = failedPassword
		}
		_, traced := trace.Failed()
		e.Remedy = remedyOf(c.Vendor, e.Check, traced)
	}
	if whole {
		e.Checks = trace
		if account, ok := a.Detail["account"]; ok {
			e.Account, _ = json.Marshal(account) // came out of JSON
		}
	}
	return e
}

// saidIn are the sentences of a refusal as they were stored for readers of any language.
func saidIn(a store.Activity) (said map[string]web.Said) {
	raw, err := json.Marshal(a.Detail["said"])
	if err != nil || json.Unmarshal(raw, &said) != nil {
		return nil
	}
	return said
}

// traceOf reads the checks back out of an activity row.
func traceOf(a store.Activity) (t answer.Trace) {
	raw, err := json.Marshal(a.Detail["trace"])
	if err != nil || json.Unmarshal(raw, &t) != nil {
		return nil
	}
	// A door without a trace says of one check what it expected.
	if expected, ok := a.Detail["expected"].(string); ok && len(t) == 0 {
		got, _ := a.Detail["got"].(string)
		name, _ := a.Detail["check"].(string)
		t = answer.Trace{{Name: name, Expected: expected, Got: got}}
	}
	return t
}
