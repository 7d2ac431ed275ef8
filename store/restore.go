package store

import (
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// RestoreUser brings a deleted person back, deactivated and managed by nobody, for
// as long as the name is free. Needs Write. Faults: NotFound, Denied, Expired,
// Conflict on userName.
func (tx *Tx) RestoreUser(id UserID, why string) (User, error) {
	return tx.RestoreAs(id, "", why)
}

// RestoreAs is RestoreUser under another user name; the old one when it is empty.
// What comes back are the attributes and the roles that were given by hand; groups,
// roles of a directory and its management are gone.
func (tx *Tx) RestoreAs(id UserID, userName, why string) (User, error) {
	if err := tx.Require(access.EndUsers); err != nil {
		return User{}, err
	}
	why, err := whyOf(why)
	if err != nil {
		return User{}, err
	}
	u, err := tx.anyUser(id)
	switch {
	case err != nil:
		return u, err
	case tx.actor.Kind == access.Directory:
		return u, fault.NotFound.Say("There is no such user.")
	case tx.mayTouch(u) != nil:
		return u, tx.mayTouch(u)
	case u.Status != Deleted:
		return u, fault.Conflict.On("status", "%s is not deleted.", u.DisplayName)
	case tx.Now() > u.DeletedAt.Add(RestoreFor):
		return u, fault.Expired.Say("%s was deleted more than 30 days ago and cannot be restored. Create the person again.", u.DisplayName)
	}
	doc, err := u.Attributes()
	if err != nil {
		return u, err
	}
	if userName = strings.TrimSpace(userName); userName != "" && userName != u.UserName {
		if err := fault.Line("userName", userName, maxKey); err != nil {
			return u, err
		}
		doc["userName"] = userName
	}
	hot, err := hotOf(doc)
	if err != nil {
		return u, err
	}
	raw, err := encode(doc)
	if err != nil {
		return u, err
	}
	next := u
	next.Status, next.EndedBy, next.DirectoryID, next.DeletedAt = Deactivated, tx.actor.Kind, "", 0
	next.Version, next.UpdatedAt = u.Version+1, tx.Now()
	next.UserName, next.DisplayName, next.Doc = hot.userName, hot.displayName, JSON(raw)
	next, err = tx.moved(u, next, step{`UPDATE users SET status = 'deactivated', ended_by = ?, directory_id = NULL, user_name = ?, user_name_key = ?, display_name = ?, sort_key = ?, search_key = ?,
		word_key = ?, number_key = ?, phone_key = ?, doc = {{as_json}}, version = version + 1, updated_at = ?, deleted_at = 0
		WHERE org_id = ? AND id = ? AND version = ? AND status = 'deleted'`,
		[]any{next.EndedBy, next.UserName, hot.nameKey, next.DisplayName, hot.sortKey, hot.searchKey, orNull(hot.wordKeys.Word), orNull(hot.wordKeys.Number), orNull(hot.wordKeys.Phone), raw, next.UpdatedAt, tx.Org(), id, u.Version}},
		[]step{tx.countStep(countUsers, "", 1)}, "user.restore", Leaving{Why: why})
	if err != nil {
		return u, err
	}
	if len(hot.values) > 0 {
		if _, err = tx.Exec(insertValuesAgain, tx.Org(), id, valueList(hot.values)); err != nil {
			return u, err
		}
	}
	return next, tx.addExtras(UserResource, string(id), doc)
}

const insertValuesAgain = `INSERT INTO user_values (org_id, attr, value_key, kind, user_id)
	SELECT {{as_id}}, e.value ->> 'attr', e.value ->> 'value', e.value ->> 'kind', {{as_id}} FROM {{each}}`
