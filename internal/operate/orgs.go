package operate

import (
	"cmp"
	"context"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Finding is something that somebody should look at.
type Finding struct {
	Severity string   // "bad": people are kept out or data do not arrive; "warn": they will be, or somebody waits
	Text     web.Said // what it is
	Path     string   // where to look
}

// Overview is an organization with what is known of it.
type Overview struct {
	store.Org
	Size     store.OrgSize
	Facts    Facts
	Findings []Finding // the worst first
}

// Worst is the one for a list; nil: nothing is wrong.
func (o Overview) Worst() *Finding {
	if len(o.Findings) == 0 {
		return nil
	}
	return &o.Findings[0]
}

// LastSync is the newest request of any directory.
func (o Overview) LastSync() (at store.Time) {
	for _, d := range o.Facts.Directories {
		at = max(at, d.Last)
	}
	return at
}

// Active counts the connections over which people sign in.
func (o Overview) Active() (n int) {
	for _, c := range o.Facts.Connections {
		if c.Active {
			n++
		}
	}
	return n
}

// Orgs is a page of organizations with what is known of each, in a number of queries that
// does not depend on how many there are. Faults: Denied.
func (d *Door) Orgs(ctx context.Context, actor access.Actor, q store.OrgQuery) (list []Overview, more bool, err error) {
	orgs, more, err := d.opt.DB.OrgPage(ctx, actor, q)
	if err != nil {
		return nil, false, err
	}
	list, err = d.overviews(ctx, orgs)
	return list, more, err
}

// Org is one organization. Faults: Denied, NotFound.
func (d *Door) Org(ctx context.Context, actor access.Actor, slug string) (Overview, error) {
	if !actor.May(access.Operate) {
		return Overview{}, fault.Denied.Say("Only an operator of this server can look through all organizations.")
	}
	org, err := d.opt.DB.OrgBySlug(ctx, slug)
	if err != nil {
		return Overview{}, err
	}
	list, err := d.overviews(ctx, []store.Org{org})
	if err != nil {
		return Overview{}, err
	}
	return list[0], nil
}

func (d *Door) overviews(ctx context.Context, orgs []store.Org) ([]Overview, error) {
	ids := make([]store.OrgID, len(orgs))
	for i, o := range orgs {
		ids[i] = o.ID
	}
	sizes, err := d.opt.DB.OrgSizes(ctx, ids)
	if err != nil {
		return nil, err
	}
	facts, err := d.opt.Facts(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]Overview, len(orgs))
	for i, o := range orgs {
		list[i] = Overview{Org: o, Size: sizes[o.ID], Facts: facts[o.ID]}
		list[i].Findings = findings(list[i], store.TimeOf(d.opt.DB.Now()))
	}
	return list, nil
}

// soon is how long before the end of a certificate somebody should know.
const soonDays = 60

// findings are what is wrong, the worst first.
func findings(o Overview, now store.Time) (list []Finding) {
	base := "/console/" + o.Slug
	bad := func(path string, text web.Said) { list = append(list, Finding{"bad", text, base + path}) }
	warn := func(path string, text web.Said) { list = append(list, Finding{"warn", text, base + path}) }
	f := o.Facts
	for _, dir := range f.Directories {
		if dir.Failing != 0 {
			bad("/directories/"+dir.ID, web.Say("Every request of the directory %s is refused since %s.", dir.Name, dir.Failing))
		}
	}
	if f.Required && o.Active() == 0 {
		bad("/connections", web.Say("Single sign-on is required, and no connection is active."))
	}
	for _, c := range f.Connections {
		at := "/connections/" + c.ID
		switch days := int(c.Ends.Time().Sub(now.Time()).Hours() / 24); {
		case !c.Active:
		case c.Ends != 0 && c.Ends <= now:
			bad(at, web.Say("The certificate of the connection %s ended on %s.", c.Name, c.Ends))
		case c.Ends != 0 && days < soonDays:
			warn(at, web.SayN(days, "The certificate of the connection %[2]s ends in one day.", "The certificate of the connection %[2]s ends in %[1]d days.", c.Name))
		}
		if c.Active && c.Pending != 0 {
			warn(at+"/upkeep", web.Say("New metadata of the connection %s wait for an admin.", c.Name))
		} else if c.Active && c.Problem != "" {
			warn(at+"/upkeep", web.Say("The metadata of the connection %s cannot be read.", c.Name))
		}
	}
	for _, domain := range f.Lost {
		bad("/domains", web.Say("The DNS record of the mail domain %s is missing.", domain))
	}
	if f.Waiting > 0 {
		warn("/requests", web.SayN(f.Waiting, "One person waits for an answer to a request for access.", "%d people wait for an answer to a request for access."))
	}
	if o.Size.Most >= 0 && o.Size.Seats >= o.Size.Most {
		warn("/settings/seats", web.Say("All seats are taken."))
	}
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	return list
}

// Create makes an organization and, when an address is given, invites its first admin, in
// one transaction. Faults: Denied, Invalid and Conflict on "slug", "name" and what Invite says.
func (d *Door) Create(ctx context.Context, actor access.Actor, slug, name string, admin Newcomer) (org store.Org, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if org, err = tx.CreateOrg(slug, name); err != nil || admin == (Newcomer{}) {
			return err
		}
		_, err := d.opt.Invite(tx, org, admin, access.Admin)
		return err
	})
	return org, err
}

// Rename gives an organization another name. Faults: Denied, NotFound, Invalid on "name".
func (d *Door) Rename(ctx context.Context, actor access.Actor, slug, name string) (org store.Org, err error) {
	err = d.in(ctx, actor, slug, func(tx *store.Tx) error {
		org, err = tx.RenameOrg(name)
		return err
	})
	return org, err
}

// Suspend shuts an organization until Resume: nobody signs in, everybody is signed out, keys
// and directories are refused; nothing is lost. Whoever runs the server cannot be shut out by
// it. Faults: Denied, NotFound, Invalid on "why", Conflict.
func (d *Door) Suspend(ctx context.Context, actor access.Actor, slug, why string) (org store.Org, err error) {
	err = d.in(ctx, actor, slug, func(tx *store.Tx) error {
		if org, err = tx.SuspendOrg(why); err != nil {
			return err
		}
		operators, err := d.opt.Sessions.OperatorsIn(tx)
		if err != nil {
			return err
		}
		if len(operators) > 0 {
			return fault.Conflict.Say("Operators of this server have their accounts in %s and would be shut out. Take the right to operate from them first.", org.Name)
		}
		_, err = d.opt.Sessions.EndAll(tx)
		return err
	})
	return org, err
}

// Resume takes a suspension back. Everybody signs in anew. Faults: Denied, NotFound, Conflict.
func (d *Door) Resume(ctx context.Context, actor access.Actor, slug string) (org store.Org, err error) {
	err = d.in(ctx, actor, slug, func(tx *store.Tx) error {
		if org, err = tx.ResumeOrg(); err != nil {
			return err
		}
		_, err = d.opt.Sessions.EndAll(tx) // one that began at the moment of the suspension
		return err
	})
	return org, err
}

func (d *Door) in(ctx context.Context, actor access.Actor, slug string, do func(tx *store.Tx) error) error {
	if !actor.May(access.Operate) {
		return fault.Denied.Say("Only an operator of this server can do this.")
	}
	org, err := d.opt.DB.OrgBySlug(ctx, slug)
	if err != nil {
		return err
	}
	return d.opt.DB.Write(ctx, actor.In(string(org.ID)), do)
}
