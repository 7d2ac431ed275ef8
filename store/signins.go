package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Sign-ins are rows of activity ("user.signin", "user.signin.refused", and
// "user.signout.refused", whose reference somebody reads out just so), whichever door
// they came through. So that one of them is found by what people know of it (a
// reference, an address, a subject, a connection, the check that failed), Record puts
// a row into the table signins beside it, from the words in its Detail: reference,
// method, connection, check, email, subject, repeats.

// NoOrg stands for the organization of what happened where none is known. Only
// operators are let in.
const NoOrg OrgID = "00000000000000000000000000000000"

// The results of a sign-in.
const (
	SignedIn     = "in"
	SignInFailed = "refused"
)

// SignIn is one sign-in as it is found.
type SignIn struct {
	Org        OrgID      `db:"org_id"`
	At         Time       `db:"at"`
	ID         ActivityID `db:"id"` // of its activity row
	Result     string     `db:"result"`
	Reference  string     `db:"reference"`
	Method     string     `db:"method"`
	Connection string     `db:"connection_id"` // id, or empty
	User       UserID     `db:"user_id"`       // empty: nobody of ours is known
	Check      string     `db:"check_name"`    // what failed
	Email      string     `db:"email_key"`     // as the provider said it, folded
	Subject    string     `db:"subject"`
	Repeats    int        `db:"repeats"`
}

// recordSignIn is the row beside an activity row about a sign-in.
func (tx *Tx) recordSignIn(a Activity) error {
	s := SignIn{Result: SignedIn, Reference: said(a, "reference"), Method: said(a, "method"), Connection: said(a, "connection"),
		Check: said(a, "check"), Email: Fold(said(a, "email")), Subject: said(a, "subject")}
	if a.Action != "user.signin" {
		s.Result = SignInFailed
	}
	if a.TargetKind == "user" {
		s.User = UserID(a.TargetID)
	}
	s.Repeats, _ = a.Detail["repeats"].(int)
	if !isID(s.Connection) {
		s.Connection = ""
	}
	err := tx.Post(`INSERT INTO signins (org_id, at, id, result, reference, method, connection_id, user_id, check_name, email_key, subject, repeats)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, []any{tx.Org(), a.At, a.ID, s.Result, s.Reference, s.Method, ID[struct{}](s.Connection), s.User, s.Check, s.Email, s.Subject, s.Repeats}, nil)
	if err == nil && s.Result == SignInFailed {
		org, db := tx.Org(), tx.db
		tx.AfterCommit(func() { db.refused.Store(org, true) })
	}
	return err
}

// said is a word of the detail, whatever type of string it is. It is bounded, and fit
// for an index.
func said(a Activity, key string) string {
	v, ok := a.Detail[key]
	if !ok || v == nil {
		return ""
	}
	text := strings.ToValidUTF8(strings.ReplaceAll(fmt.Sprint(v), "\x00", ""), "")
	if len(text) > 400 {
		text = strings.ToValidUTF8(text[:400], "")
	}
	return text
}

// SignInCursor is the last row of the page before.
type SignInCursor struct {
	At Time
	ID ActivityID
}

// SignInQuery chooses sign-ins, newest first. Empty fields choose all.
type SignInQuery struct {
	Reference  string
	Person     string // id, user name or address of somebody here; or an address or subject as a provider sent it
	User       UserID // somebody here
	Connection string
	Result     string
	Check      string
	From, To   Time // To is not included
	Before     SignInCursor
	Only       ActivityID // this one; Before.At is its time
	Limit      int
}

const signInColumns = `SELECT org_id, at, id, result, reference, method, COALESCE(CAST(connection_id AS text), '') AS connection_id, user_id, check_name, email_key, subject, repeats FROM signins`

// SignIns reads the log. Faults: Denied.
func (tx *Tx) SignIns(q SignInQuery) ([]SignIn, error) {
	if err := tx.Require(access.ViewActivity); err != nil {
		return nil, err
	}
	query, args, err := tx.signInQuery(q)
	if err != nil {
		return nil, err
	}
	list := []SignIn{}
	if err := tx.Select(&list, query, args...); err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Connection = plainID([]byte(list[i].Connection))
	}
	return list, nil
}

// signInQuery is the question as a statement.
func (tx *Tx) signInQuery(q SignInQuery) (string, []any, error) {
	where, args := " WHERE org_id = ?", []any{tx.Org()}
	and := func(condition string, values ...any) {
		where, args = where+" AND "+condition, append(args, values...)
	}
	if q.Reference != "" {
		and("reference = ? AND reference <> ''", q.Reference) // the index has the others left out
	}
	if q.User != "" {
		and("user_id = ?", q.User)
	}
	if q.Connection != "" {
		and("connection_id = ?", ID[struct{}](q.Connection))
	}
	switch {
	case q.Check != "":
		and("check_name = ? AND result = 'refused'", q.Check)
	case q.Result == SignInFailed:
		and("result = 'refused'")
	case q.Result != "":
		and("result = ?", q.Result)
	}
	if q.From != 0 {
		and("at >= ?", q.From)
	}
	if q.To != 0 {
		and("at < ?", q.To)
	}
	switch {
	case q.Only != "":
		and("at = ? AND id = ?", q.Before.At, q.Only)
	case q.Before.ID != "":
		and("(at, id) < (?, ?)", q.Before.At, q.Before.ID)
	}
	const newest = " ORDER BY at DESC, id DESC LIMIT ?"
	if q.Person == "" {
		return signInColumns + where + newest, append(args, q.Limit), nil
	}
	users, err := tx.whoIs(q.Person)
	if err != nil {
		return "", nil, err
	}
	// A walk of an index for each thing that the word may be; with OR it is a look at
	// every row of the organization.
	arms, all := []string{}, []any{}
	arm := func(condition string, value any) {
		arms = append(arms, "SELECT * FROM ("+signInColumns+where+" AND "+condition+newest+") AS a"+fmt.Sprint(len(arms)))
		all = append(append(all, args...), value, q.Limit)
	}
	arm("email_key = ? AND email_key <> ''", Fold(q.Person))
	arm("subject = ? AND subject <> ''", q.Person)
	for _, id := range users {
		arm("user_id = ?", id)
	}
	return strings.Join(arms, " UNION ") + newest, append(all, q.Limit), nil
}

// whoIs finds whom somebody means: by id, user name or address. A few at most.
func (tx *Tx) whoIs(word string) ([]UserID, error) {
	if id, err := ParseID[User](word); err == nil {
		return []UserID{id}, nil
	}
	var ids []UserID
	if u, err := tx.UserByName(word); err == nil {
		ids = append(ids, u.ID)
	} else if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) {
		return nil, err
	}
	list, err := tx.UsersByEmail(word)
	for _, u := range list {
		if len(ids) < 5 && (len(ids) == 0 || ids[0] != u.ID) {
			ids = append(ids, u.ID)
		}
	}
	return ids, err
}

// FindSignIn looks a reference up in all organizations: for the operator, who must be
// asked for by the caller. Faults: NotFound.
func (db *DB) FindSignIn(ctx context.Context, reference string) (SignIn, error) {
	var s SignIn
	err := db.Lookup(ctx, &s, signInColumns+" WHERE reference = ? AND reference <> '' ORDER BY at DESC LIMIT 1", reference)
	if fault.Is(err, fault.NotFound) {
		return s, fault.NotFound.On("reference", "No sign-in has the reference %.40q, or not any more.", reference)
	}
	s.Connection = plainID([]byte(s.Connection))
	return s, err
}

// SweepSignIns removes what is older than age, and the oldest of organizations with
// more than most. Their rows of activity stay.
func (db *DB) SweepSignIns(ctx context.Context, age time.Duration, most int) error {
	_, err := db.Sweep(ctx, "DELETE FROM signins WHERE at < ?", TimeOf(db.now()).Add(-age))
	errs := []error{err}
	db.refused.Range(func(org, _ any) bool {
		db.refused.Delete(org)
		errs = append(errs, db.trimSignIns(ctx, org.(OrgID), most))
		return true
	})
	return errors.Join(errs...)
}

func (db *DB) trimSignIns(ctx context.Context, org OrgID, most int) error {
	return db.Write(ctx, access.Muster(string(org)), func(tx *Tx) error {
		var cut struct {
			At Time       `db:"at"`
			ID ActivityID `db:"id"`
		}
		err := tx.Get(&cut, "SELECT at, id FROM signins WHERE org_id = ? ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?", tx.Org(), most)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM signins WHERE org_id = ? AND (at, id) <= (?, ?)", tx.Org(), cut.At, cut.ID)
		return err
	})
}
