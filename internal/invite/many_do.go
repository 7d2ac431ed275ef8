package invite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// atOnce is how many are invited while the page waits; more are a job.
const atOnce = 50

// ConfirmMany invites everybody of a list who waits: some at once, each in a transaction
// of its own that also notes it, and more as a job, which is the list's Job then. Pressed
// twice or by two admins, everybody is invited once, and what an interrupted one left can
// be gone on with. Faults: Denied, NotFound; what is wrong with an address stands in its
// row.
func (d *Door) ConfirmMany(ctx context.Context, actor access.Actor, id ListID) (l ManyList, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.InviteUsers); err != nil {
			return err
		}
		if l, err = headOf(tx, id, tx.ForUpdate()); err != nil {
			return noList(err)
		}
		if l.Running, err = d.running(tx, l.Job); err != nil || l.Running {
			return err
		}
		if l.Rows, err = waitingRows(tx, id); err != nil || len(l.Rows) <= atOnce {
			return err
		}
		return d.startList(tx, &l)
	})
	if err != nil {
		return l, err
	}
	if !l.Running {
		for _, r := range l.Rows {
			if err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error { _, err := d.inviteRow(tx, l.ListHead, r); return err }); err != nil {
				return l, err
			}
		}
	}
	return d.Many(ctx, actor, id, RowQuery{})
}

// running tells whether a list's job is not over.
func (d *Door) running(tx *store.Tx, id jobs.ID) (bool, error) {
	if id == "" {
		return false, nil
	}
	j, err := d.opt.Jobs.Get(tx, id)
	if fault.Is(err, fault.NotFound) { // over, and forgotten
		return false, nil
	}
	return err == nil && j.EndedAt == 0, err
}

// startList makes a job of the rows that wait. The caller has locked the list.
func (d *Door) startList(tx *store.Tx, l *ManyList) error {
	job, err := d.opt.Jobs.Start(tx, jobs.In{Kind: listKind, Input: l.ListHead, Items: func(yield func(jobs.Item) bool) {
		for _, r := range l.Rows {
			if !yield(jobs.Item{Name: r.Email, Data: json.RawMessage(mustJSON(r))}) {
				return
			}
		}
	}})
	if err != nil {
		return err
	}
	l.Job, l.Running = job.ID, true
	_, err = tx.Exec("UPDATE invitation_batches SET job_id = ? WHERE org_id = ? AND id = ?", job.ID, tx.Org(), l.ID)
	return err
}

// inviteRow invites one of a list, unless somebody else was faster. What is wrong with
// the address is noted in the row, and the result.
func (d *Door) inviteRow(tx *store.Tx, l ListHead, r ManyRow) (jobs.Result, error) {
	skipped := jobs.Skip(jobs.Because("Has been invited already by this list."))
	result := skipped
	err := tx.Try(func() error {
		mine, err := endRow(tx, l.ID, r.Line, RowWaits, RowDone, r.Why)
		if err != nil || !mine {
			return err
		}
		org, err := tx.ThisOrg()
		if err != nil {
			return err
		}
		made, err := d.Create(tx, org, In{Email: r.Email, GivenName: r.GivenName, FamilyName: r.FamilyName, Roles: slices.Clone(l.Roles), Teams: slices.Clone(l.Teams), Own: l.Own, Note: l.Note, Save: l.Save})
		if err != nil {
			return err
		}
		result = jobs.Result{Did: "invited", Target: string(made.UserID), Undo: invited{made.UserID, made.InvitationID, r.Line}}
		if l.Save {
			result.Did = "saved"
		}
		_, err = tx.Exec("UPDATE invitation_batch_rows SET user_id = ? WHERE org_id = ? AND batch_id = ? AND line = ?", made.UserID, tx.Org(), l.ID, r.Line)
		return err
	})
	switch kind := fault.Of(err); {
	case err == nil:
		return result, nil
	case kind == fault.Internal, kind == fault.Unavailable, kind == fault.Denied, fault.Field(err) == "version":
		return jobs.Result{}, err // not the address's fault: it waits on
	}
	why := jobs.Why(err)
	mine, err := endRow(tx, l.ID, r.Line, RowWaits, RowFailed, why)
	if err != nil || !mine {
		return skipped, err
	}
	return jobs.Result{State: jobs.FailedItem, Why: why}, nil
}

// listKind is the name of our job.
const listKind = "invite"

// invited is what it takes to cancel an invitation of a list.
type invited struct {
	User store.UserID `json:"user"`
	ID   ID           `json:"id"`
	Line int          `json:"line"`
}

// kind is our job.
func (d *Door) kind() jobs.Kind {
	return jobs.Kind{Name: listKind, Need: access.InviteUsers, Size: 20,
		Title: func(to web.Reader, j jobs.Job) string {
			if head, err := headIn(j); err == nil && head.Save {
				return to.N(j.Total, "Save %d invitation, without sending", "Save %d invitations, without sending")
			}
			return to.N(j.Total, "Invite %d person", "Invite %d people")
		},
		Words: map[string]string{"invited": "Invited", "saved": "Saved", "cancelled": "Cancelled"},
		Link: func(target string) string {
			if target == "" {
				return ""
			}
			return "/users/" + target
		},
		One: func(tx *store.Tx, j jobs.Job, item jobs.Item) (jobs.Result, error) {
			head, err := headIn(j)
			if err != nil {
				return jobs.Result{}, err
			}
			var r ManyRow
			if err := json.Unmarshal(item.Data, &r); err != nil {
				return jobs.Result{}, fmt.Errorf("row of job %s: %w", j.ID, err)
			}
			return d.inviteRow(tx, head, r)
		},
		UndoOne: d.takeBack,
	}
}

func headIn(j jobs.Job) (head ListHead, err error) {
	if err := json.Unmarshal(j.Input, &head); err != nil {
		return head, fmt.Errorf("input of job %s: %w", j.ID, err)
	}
	return head, nil
}

// takeBack cancels an invitation of a list that was not accepted.
func (d *Door) takeBack(tx *store.Tx, j jobs.Job, item jobs.Item) (jobs.Result, error) {
	var was invited
	if err := json.Unmarshal(item.Data, &was); err != nil {
		return jobs.Result{}, fmt.Errorf("result of job %s: %w", j.ID, err)
	}
	head, err := headIn(j)
	if err != nil {
		return jobs.Result{}, err
	}
	if err := lock(tx, was.User); err != nil {
		return jobs.Result{}, err
	}
	i, err := newestOf(tx, was.User)
	switch {
	case fault.Is(err, fault.NotFound): // removed for good
		return jobs.Skip(jobs.Because("Is not here any more.")), nil
	case err != nil:
		return jobs.Result{}, err
	case i.State == Accepted:
		return jobs.Skip(jobs.Because("Has accepted the invitation, and stays.")), nil
	case i.ID != was.ID || i.State != Pending:
		return jobs.Skip(jobs.Because("It was changed since, so it stays as it is now.")), nil
	}
	if err := d.Cancel(tx, was.User); err != nil {
		return jobs.Result{}, err
	}
	_, err = endRow(tx, head.ID, was.Line, RowDone, RowUndone, jobs.Because("Was invited, and taken back with the whole list."))
	return jobs.Result{Did: "cancelled"}, err
}
