package console

import (
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// did says each action in words, after the name of who acted. An action that is
// not here is shown by its own name.
var did = map[string]string{
	"user.create": "added", "user.update": "changed", "user.deactivate": "deactivated", "user.reactivate": "reactivated", "user.activate": "activated",
	"user.delete": "deleted", "user.restore": "restored", "user.detach": "detached from its directory", "user.role.grant": "gave a role to", "user.role.revoke": "took a role from",
	"user.signin": "signed in", "user.signin.refused": "was refused a sign-in", "user.signout": "signed out", "user.signout.refused": "sent a sign-out that was refused to", "user.stepup": "signed in once more", "session.end": "signed out", "user.access.request": "asked for access through",
	"user.preferences": "changed the preferences of", "people.export": "took out as a file", "feed.create": "added the feed", "feed.pin": "confirmed the host key of the feed", "feed.delete": "deleted the feed", "feed.update": "changed the feed", "feed.pause": "paused the feed", "feed.resume": "resumed the feed",
	"password.set": "set a password for", "password.temporary": "set a temporary password for",
	"user.picture": "changed the picture of", "user.picture.remove": "removed the picture of", "user.export": "exported the data of",
	"user.address.ask": "asked for a new address of", "user.address.confirm": "confirmed the new address of", "user.address.stop": "stopped the change of address of", "user.address.undo": "undid the change of address of",
	"password.reset.ask": "mailed a link for a new password to",
	"invitation.create":  "invited", "invitation.resend": "sent the invitation again to", "invitation.cancel": "cancelled the invitation of", "invitation.accept": "accepted the invitation of",
	"invitation.save": "saved an invitation, without sending, for", "invitation.correct": "corrected the address of the invitation of", "invitation.reopen": "opened the invitation again of",
	"invitation.link": "took a link to hand over to", "invitation.remind": "reminded of the invitation", "invitation.open": "looked at the invitation of", "invitation.bounce": "got the mail back of the invitation of",
	"invitation.ask": "heard that a new invitation is wanted by", "invitation.renew": "sent, as it was asked for, the invitation again to", "user.reinvite": "invited again", "invitation.start": "activated without e-mail",
	"group.create": "made the group", "group.update": "changed the group", "group.delete": "deleted the group",
	"group.member.add": "added members to", "group.member.remove": "removed members from", "group.member.reason": "took a reason of members from", "group.member.replace": "replaced the members of",
	"directory.create": "connected the directory", "directory.update": "changed the directory", "directory.token.rotate": "rotated the token of",
	"directory.role.map": "mapped a role of", "directory.role.unmap": "removed a mapped role of",
	"directory.token.create": "made a token for", "directory.token.revoke": "revoked a token of",
	"directory.client.create": "made an OAuth client of", "directory.client.revoke": "revoked an OAuth client of",
	"directory.client.rotate": "replaced the secret or keys of an OAuth client of",
	"connection.create":       "made the connection", "connection.update": "changed the connection", "connection.key.create": "made a new client key for", "connection.test": "tested a sign-in over", "connection.delete": "deleted the connection", "connection.sessions.end": "ended the sessions over the connection",
	"connection.metadata.hold": "got metadata that wait for an administrator, of", "connection.metadata.approve": "approved the new metadata of", "connection.metadata.reject": "rejected the new metadata of",
	"connection.metadata.fail": "could not read the metadata of", "connection.metadata.back": "could read the metadata again of",
	"connection.certificate.ends": "saw a certificate near its end, of", "connection.certificate.stale": "saw a certificate that the metadata do not list, of",
	"connection.keys.publish": "published new keys for", "connection.keys.active": "changed to the new keys for", "connection.keys.retire": "removed the old keys of",
	"connection.certificates": "changed the certificates of", "connection.untested": "activated without a test",
	"connection.link.create": "made a set-up link for", "connection.link.open": "opened the set-up link of", "connection.link.revoke": "withdrew the set-up link of", "connection.link.done": "finished setting up",
	"domain.add": "added the mail domain", "domain.assign": "chose the connection of the mail domain", "domain.verify": "verified the mail domain",
	"domain.lost": "did not find the DNS record of the mail domain", "domain.off": "switched off the mail domain", "domain.back": "found the DNS record again of the mail domain",
	"domain.remove":          "removed the mail domain",
	"connection.mapping.set": "changed the mapping of", "connection.mapping.remove": "removed a row of the mapping of",
	"user.attribute.lock": "locked an attribute of", "user.attribute.unlock": "unlocked an attribute of",
	"user.access.approve": "approved the request of", "user.access.decline": "declined the request of",
	"connection.rekey.start": "began to re-key", "connection.rekey.finish": "finished re-keying", "connection.rekey.undo": "undid the re-key of",
	"connection.move.start": "began to move people of", "connection.move.undo": "undid the move of people of",
	"user.identity.move": "moved the sign-in of", "user.identity.restore": "restored a sign-in of",
	"user.identity.ask": "asked the address whether to link a sign-in of", "user.identity.link": "linked a sign-in to", "user.identity.unlink": "unlinked a sign-in of",
	"org.seats": "changed the", "user.plan": "planned a change of", "user.plan.cancel": "cancelled what was planned for", "user.plan.end": "ended what was planned for", "user.plan.skip": "passed over what was planned for",
	"user.purge":       "removed for good:",
	"user.record.link": "linked a record to", "user.record.unlink": "unlinked a record of", "user.record.gone": "deleted the record that was linked to",
	"record.create": "created the record", "record.update": "changed the record", "record.delete": "deleted the record",
	"schema.create": "defined the schema", "schema.update": "changed the schema", "schema.delete": "deleted the schema",
	"role.create": "made the role", "role.update": "changed the role", "role.delete": "deleted the role",
	"policy.update": "changed the", "breakglass.add": "named a break-glass account:", "breakglass.remove": "took off the break-glass accounts:",
	"breakglass.codes": "made new recovery codes for", "breakglass.signin": "used the break-glass account", "breakglass.acknowledge": "acknowledged a break-glass sign-in of",
	"user.passkey.add": "added a passkey to", "user.passkey.remove": "removed a passkey of", "user.passkey.rename": "renamed a passkey of", "user.passkey.stop": "stopped a passkey of",
	"user.authenticator.add": "added an authenticator app to", "user.authenticator.remove": "removed the authenticator app of",
	"user.recovery.make": "made new recovery codes for", "user.recovery.use": "used a recovery code of", "user.factors.reset": "removed the second factors of",
	"key.create": "made the API key", "key.revoke": "revoked an API key",
	"operator.remove": "took the right to run the server from", "operator.search": "looked in all organizations for", "mail.retry": "had sent again the mail to", "mail.drop": "dropped the mail to", "mail.test": "sent a test mail to",
	"doctor.run": "examined the server", "secretkey.reseal": "sealed the stored secrets with the newest key of the server", "org.rename": "renamed the organization", "org.suspend": "suspended", "org.resume": "resumed", "operator.enter": "looked into the console of",
	"activity.export": "took along the activity log,", "org.create": "made the organization", "org.settings": "changed the settings", "operator.add": "made an operator of", "demo.create": "began the demo of", "demo.finish": "finished the demo of",
	"checklist.template": "changed the list", "checklist.start": "gave tasks for", "checklist.done": "did a task for", "checklist.undone": "opened a task again for",
	"review.start": "started the review", "review.ready": "prepared the review", "review.cancel": "cancelled the review", "review.change": "changed the review", "review.finish": "finished the review", "review.decide": "decided in a review about", "review.repeat.fail": "could not repeat the review",
	"job.start": "started the job", "job.cancel": "cancelled the job", "job.end": "ended the job",
	"mail.fail": "could not send mail to",
}

// Did says an action in words, after the name of who acted.
func Did(action string) string {
	if words := did[action]; words != "" {
		return words
	}
	return action
}

// refusedHow says who refused whom: a connection refuses, somebody unknown is refused.
func refusedHow(a store.Activity) (words, target string) {
	switch {
	case a.ActorKind == access.Connection && a.TargetKind == "user":
		return "refused a sign-in of", a.TargetName
	case a.ActorKind == access.Connection: // the target is the connection itself
		return "refused a sign-in", ""
	case a.TargetKind == "user":
		return "was refused signing in as", a.TargetName
	}
	return did[a.Action], a.TargetName
}

// check is one step of a sign-in's verification, as package sso traced it.
type check struct {
	Name, Expected, Got string
	OK                  bool
}

// line is an activity row as people read it.
type line struct {
	At                   store.Time
	Who                  web.Said
	Did, Action          string
	Target, Link         string
	Why, From, Reference string
	Hint                 string // what to change, and where
	Failed               *check // the one of Checks that decided a refusal
	Checks               []check
	Changes              []store.AttributeChange
}

func lines(acts []store.Activity, console string) []line {
	list := make([]line, len(acts))
	for i, a := range acts {
		list[i] = lineOf(a, console)
	}
	return list
}

func lineOf(a store.Activity, console string) line {
	l := line{At: a.At, Who: who(a), Did: did[a.Action], Action: a.Action, Target: a.TargetName,
		Why: text(a.Detail, "why"), From: text(a.Detail, "ip"), Reference: text(a.Detail, "reference"), Hint: text(a.Detail, "hint")}
	l.Failed, l.Checks = checks(a.Detail)
	switch {
	case a.Action == "user.signin.refused":
		l.Did, l.Target = refusedHow(a)
	case l.Did == "":
		l.Did = a.Action
	}
	self := a.ActorKind == access.Person && a.ActorID == a.TargetID
	if self {
		if a.TargetName != "" {
			l.Who = web.Say("%s", a.TargetName)
		}
		l.Target = ""
		l.Did = map[string]string{"breakglass.signin": "used the own break-glass account", "breakglass.add": "became a break-glass account", "breakglass.remove": "is no break-glass account any more",
			"breakglass.codes": "made new recovery codes",
			"user.passkey.add": "added a passkey", "user.passkey.remove": "removed a passkey", "user.passkey.rename": "renamed a passkey", "user.passkey.stop": "used a passkey that was stopped: its counter went back",
			"user.authenticator.add": "added an authenticator app", "user.authenticator.remove": "removed the authenticator app", "user.recovery.make": "made new recovery codes", "user.recovery.use": "used a recovery code", "invitation.accept": "accepted the invitation", "password.set": "set a password", "user.activate": "became active", "session.end": "signed out", "user.preferences": "changed the own preferences"}[a.Action]
		if l.Did == "" {
			l.Did = did[a.Action]
		}
	}
	switch {
	case self || a.TargetID == "":
	case a.TargetKind == "user":
		l.Link = console + "/users/" + a.TargetID
	case a.TargetKind == "job":
		l.Link = console + "/jobs/" + a.TargetID
	case a.TargetKind == "review":
		l.Link = console + "/reviews/" + a.TargetID
	case a.TargetKind == "group":
		l.Link = console + "/teams/" + a.TargetID
	}
	if a.TargetKind == "group" && a.Action == "group.delete" {
		l.Link = ""
	}
	l.Changes = a.Changes()
	return l
}

// who is whoever did it: a key need have no name.
func who(a store.Activity) web.Said {
	if a.ActorName != "" {
		return web.Who(a.ActorName)
	}
	if said, ok := nameless[a.ActorKind]; ok {
		return said
	}
	return web.Say("%s", string(a.ActorKind))
}

var nameless = map[access.Kind]web.Said{access.Anonymous: web.Say("Somebody unknown"), access.System: web.Say("Muster"), access.Person: web.Say("Somebody without a name"),
	access.Directory: web.Say("A directory"), access.Connection: web.Say("A connection"), access.Key: web.Who(access.UnnamedKey), access.Contact: web.Say("Whoever has a link to set up a connection")}

// checks reads the trace of a sign-in, in its order. Without a trace the name of the
// check is all there is.
func checks(detail map[string]any) (failed *check, all []check) {
	trace, _ := detail["trace"].([]any)
	for _, step := range trace {
		m, _ := step.(map[string]any)
		ok, _ := m["ok"].(bool)
		all = append(all, check{Name: text(m, "name"), Expected: text(m, "expected"), Got: text(m, "got"), OK: ok})
	}
	for i := range all {
		if !all[i].OK {
			return &all[i], all
		}
	}
	if name := text(detail, "check"); name != "" {
		failed = &check{Name: name}
	}
	return failed, all
}

func text(detail map[string]any, key string) string {
	s, _ := detail[key].(string)
	return s
}
