package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Status is where a person stands.
type Status string

// The states of a person. Deleted people are tombstones that can be restored for 30 days.
const (
	Invited     Status = "invited"
	Active      Status = "active"
	Deactivated Status = "deactivated"
	Deleted     Status = "deleted"
)

// Source is how a person came. It is kept for ever.
type Source string

// The sources.
const (
	FromInvite Source = "invite"
	FromCSV    Source = "csv"
	FromJIT    Source = "jit"
	FromSCIM   Source = "scim"
	FromAPI    Source = "api"
)

// User is one person in one organization.
type User struct {
	ID               UserID      `db:"id"`
	DirectoryID      DirectoryID `db:"directory_id"` // who manages the person; empty: nobody
	Source           Source      `db:"source"`
	Status           Status      `db:"status"`
	EndedBy          access.Kind `db:"ended_by"` // what deactivated the person
	BreakGlass       bool        `db:"break_glass"`
	UserName         string      `db:"user_name"`
	ExternalID       string      `db:"external_id"`
	Email            string      `db:"email"`
	DisplayName      string      `db:"display_name"`
	ManagerID        UserID      `db:"manager_id"`
	Doc              JSON        `db:"doc"`
	Version          int64       `db:"version"`
	CreatedAt        Time        `db:"created_at"`
	UpdatedAt        Time        `db:"updated_at"`
	LastSignInAt     Time        `db:"signed_in_at"`
	LastSignInMethod string      `db:"signed_in_with"`
	DeletedAt        Time        `db:"deleted_at"`
	Groups           []GroupRef  `db:"-"` // by Query.Groups and ShownUser alone
}

// Attributes is the document, decoded; the caller may change it.
func (u User) Attributes() (Doc, error) { return decodeDoc(u.Doc) }

// Profile is the part of the document that people fill in by hand.
func (u User) Profile() Profile {
	doc, err := u.Attributes()
	if err != nil { // it was written by us
		return Profile{UserName: u.UserName, Email: u.Email, DisplayName: u.DisplayName}
	}
	return profileOf(doc)
}

// NewUser is what CreateUser needs.
type NewUser struct {
	ID         UserID // a new one when empty; set where others must name the person before
	Doc        Doc
	Source     Source
	Status     Status   // Active when empty
	Roles      []string // the default role when empty
	Reason     Reason   // why the roles are there
	BreakGlass bool     // invisible to directories

	worked *workedOut
}

// workedOut is what follows from a document alone.
type workedOut struct {
	hot hotColumns
	doc string
}

// WorkOut does the part of CreateUser that needs no database: on SQLite, all others wait for
// whoever creates. What is wrong with the document, CreateUser tells. Doc must not change afterwards.
func (in *NewUser) WorkOut() {
	if w, err := workOut(in.Doc); err == nil {
		in.worked = &w
	}
}

func workOut(in Doc) (w workedOut, err error) {
	if w.hot, err = hotOf(in); err != nil {
		return w, err
	}
	if w.doc, err = encode(in); err != nil {
		return w, fmt.Errorf("new user %q: %w", w.hot.userName, err)
	}
	return w, nil
}

// UserFields are the columns of a User, for a SELECT FROM users that reads more beside them.
const UserFields = `id, directory_id, source, status, ended_by, break_glass, user_name, COALESCE(external_id, '') AS external_id, email,
	display_name, manager_id, doc, version, created_at, updated_at, signed_in_at, signed_in_with, deleted_at`

const userColumns = "SELECT " + UserFields + " FROM users"

const insertUser = `INSERT INTO users (org_id, id, directory_id, source, status, break_glass, user_name, user_name_key, external_id,
	email, email_key, display_name, sort_key, search_key, word_key, number_key, phone_key, manager_id, doc, version, created_at, updated_at)
	SELECT {{as_id}}, {{as_id}}, {{as_id}}, {{as_text}}, {{as_text}}, CAST(? AS {{bool}}), {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}},
	{{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_id}}, {{as_json}}, 1, {{as_int}}, {{as_int}} WHERE 1 = 1`

const insertUserGated = insertUser + whileUnlimited

const insertValues = `INSERT INTO user_values (org_id, attr, value_key, kind, user_id)
	SELECT {{as_id}}, e.value ->> 'attr', e.value ->> 'value', e.value ->> 'kind', {{as_id}} FROM {{each}} WHERE {{gate}} ON CONFLICT DO NOTHING`

const deleteValues = `DELETE FROM user_values WHERE org_id = ? AND user_id = ? AND {{gate}} AND EXISTS (SELECT 1 FROM {{each}}
	WHERE e.value ->> 'attr' = user_values.attr AND e.value ->> 'value' = user_values.value_key AND e.value ->> 'kind' = user_values.kind)`

// CreateUser adds a person; one without a user name gets one by the organization's
// NameFormat. A directory becomes its manager. One statement, so it
// is fit for Command; a transaction when the directory sent roles. Faults: Denied, Invalid,
// Conflict on userName, externalId or seats.
func (tx *Tx) CreateUser(in NewUser) (User, error) {
	need := access.CreateUsers
	if in.Source == FromInvite {
		need = access.InviteUsers
	}
	if err := tx.Require(need); err != nil {
		return User{}, err
	}
	if err := tx.nameNew([]NewUser{in}); err != nil {
		return User{}, err
	}
	if in.worked == nil {
		worked, err := workOut(in.Doc)
		if err != nil {
			return User{}, err
		}
		in.worked = &worked
	}
	hot, doc := in.worked.hot, in.worked.doc
	teams, why, err := tx.withDefaults(&in)
	if err != nil {
		return User{}, err
	}
	u := tx.newUser(in, hot, doc)
	grants, err := tx.newGrants(u, in.Doc)
	if err != nil {
		return User{}, err
	}
	extras, err := tx.extraSteps(UserResource, string(u.ID), nil, in.Doc)
	if err != nil {
		return User{}, err
	}
	shown, err := tx.masked(in.Doc)
	if err != nil {
		return User{}, err
	}
	act := Activity{Action: "user.create", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
		Detail: map[string]any{"source": u.Source, "status": u.Status, "after": shown}}
	write := func() error { return tx.insertNew(u, hot, in, extras, act) }
	if tx.inConvoy() && u.Status == Active && !u.BreakGlass && len(in.Roles)+len(extras)+len(teams)+len(grants.want) == 0 {
		err = tx.create(&newcomer{u: u, hot: hot}, act, write)
	} else {
		err = write()
	}
	if err != nil {
		return User{}, takenExtra(taken(err, hot.userName, hot.externalID))
	}
	if err := tx.setGrants(u, grants); err != nil {
		return u, err
	}
	return u, tx.joinDefaults([]UserID{u.ID}, teams, why)
}

// insertNew writes a new person and what belongs to the row. Faults: Conflict, also on "seats".
func (tx *Tx) insertNew(u User, hot hotColumns, in NewUser, extras []step, act Activity) error {
	steps, err := tx.newUserSteps(u, hot, in)
	if err != nil {
		return err
	}
	steps = append(steps, extras...)
	head := seatHead{insertUserGated, insertUser, append(make([]any, 0, 24), tx.Org(), u.ID, u.DirectoryID, u.Source, u.Status, u.BreakGlass, u.UserName, hot.nameKey, orNull(u.ExternalID),
		u.Email, hot.emailKey, u.DisplayName, hot.sortKey, hot.searchKey, orNull(hot.wordKeys.Word), orNull(hot.wordKeys.Number), orNull(hot.wordKeys.Phone), u.ManagerID, string(u.Doc), u.CreatedAt, u.UpdatedAt)}
	var n int64
	if !seated(u.Status) {
		n, err = tx.change(step{head.free, head.args}, steps, act)
	} else {
		n, err = tx.seating(head, steps, act, func() ([]string, error) {
			if len(in.Roles) == 0 {
				return []string{DefaultRole}, nil
			}
			return in.Roles, nil
		})
	}
	if err == nil && n == 0 { // the organization's limits came or went at this moment
		return errStale
	}
	return err
}

func (tx *Tx) newUserSteps(u User, hot hotColumns, in NewUser) ([]step, error) {
	var steps []step
	if len(hot.values) > 0 {
		steps = append(steps, tx.addValues(u.ID, hot.values))
	}
	if !u.BreakGlass {
		steps = append(steps, tx.countStep(countUsers, u.DirectoryID, 1))
	}
	if in.Reason.Kind != FromDefault { // what everybody gets is nobody's to withhold
		if err := tx.mayGive(in.Roles); err != nil {
			return nil, err
		}
	}
	for _, role := range in.Roles {
		steps = append(steps, step{insertRole, []any{tx.Org(), u.ID, role, in.Reason.Kind, in.Reason.Ref, in.Reason.Detail, tx.Now(), tx.giver(in.Reason)}})
	}
	return steps, nil
}

// addValues adds rows of user_values; one that a version before left there is as good. SQLite
// takes rows as arguments for half of what reading them from a list costs, and need not be
// able to undo what cannot fail. Of somebody with very many it reads the list, because there
// is a statement for each number.
func (tx *Tx) addValues(id UserID, values map[userValue]bool) step {
	if tx.db.d.oneStmt || len(values) > 24 {
		return step{insertValues, []any{tx.Org(), id, valueList(values)}}
	}
	args := make([]any, 0, 5*len(values))
	for v := range values {
		args = append(args, tx.Org(), v.Attr, v.Kind, v.Value, id)
	}
	return step{strings.Replace(insertManyValues, "INSERT", "INSERT OR IGNORE", 1) + manyRows("(?, ?, ?, ?, ?)", len(values)), args}
}

func valueList(values map[userValue]bool) string {
	list := make([]userValue, 0, len(values))
	for v := range values {
		list = append(list, v)
	}
	b, _ := json.Marshal(list) // strings always marshal
	return string(b)
}

// orNull stores an absent value, so that a unique index passes over it.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// taken gives a uniqueness conflict its value.
func taken(err error, userName, externalID string) error {
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	switch fault.Field(err) {
	case "userName":
		return fault.Conflict.WrapOn(err, "userName", "The userName %q is already in use in this organization. Choose another one, or update the user who has it.", userName)
	case "externalId":
		return fault.Conflict.WrapOn(err, "externalId", "The externalId %q already belongs to another user of this directory. Update that user instead.", externalID)
	}
	return err
}

// visible is the condition on users that the actor may see. A directory sees the
// people it manages and those nobody manages, and no break-glass accounts.
func (tx *Tx) visible() (string, []any) {
	if tx.actor.Kind == access.Directory {
		return " AND deleted_at = 0 AND (directory_id = ? OR directory_id IS NULL) AND NOT break_glass", []any{tx.actor.ID}
	}
	return " AND deleted_at = 0", nil
}

func (tx *Tx) user(where string, args ...any) (User, error) {
	var u User
	if err := tx.Require(access.ViewUsers); err != nil {
		return u, err
	}
	seen, more := tx.visible()
	err := tx.Get(&u, userColumns+" WHERE org_id = ? AND "+where+seen, append(append([]any{tx.Org()}, args...), more...)...)
	if fault.Is(err, fault.NotFound) {
		return u, fault.NotFound.Wrap(err, "There is no such user.")
	}
	return u, err
}

// User finds a person. Faults: NotFound, also for what the actor may not see.
func (tx *Tx) User(id UserID) (User, error) { return tx.user("id = ?", id) }

// UserByName finds a person by userName, without regard to case. Faults: NotFound.
func (tx *Tx) UserByName(name string) (User, error) { return tx.user("user_name_key = ?", Fold(name)) }

// UserByExternalID finds the person whom a directory knows by this externalId. Faults: NotFound.
func (tx *Tx) UserByExternalID(directory DirectoryID, externalID string) (User, error) {
	return tx.user("directory_id = ? AND external_id = ?", directory, externalID)
}

// UsersByEmail finds the people whose main address this is; there may be several.
func (tx *Tx) UsersByEmail(email string) ([]User, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	seen, more := tx.visible()
	list := []User{}
	return list, tx.Select(&list, userColumns+" WHERE org_id = ? AND email_key = ?"+seen+" ORDER BY id LIMIT 100", append([]any{tx.Org(), Fold(email)}, more...)...)
}

// SignedIn notes a sign-in. It fails with Denied when the person may not sign in
// (any more): the check and the note are one statement.
func (tx *Tx) SignedIn(id UserID, method string) error {
	return tx.Post("UPDATE users SET signed_in_at = ?, signed_in_with = ? WHERE org_id = ? AND id = ? AND status = 'active'", []any{tx.Now(), method, tx.Org(), id}, func(rows int64) error {
		if rows == 0 {
			return fault.Denied.Say("This account is not active. Ask an admin of your organization.")
		}
		return nil
	})
}
