package sso

import (
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
)

// What pages say for the words of the API and the command line, which stay as they are.
var (
	keyStates        = map[string]string{keyNext: "published, not in use yet", keyActive: "in use", keyOld: "no longer in use"}
	linkStates       = map[string]string{"sent": "sent", "opened": "opened", "finished": "finished", "expired": "expired", "revoked": "withdrawn"}
	requestStates    = map[string]string{RequestOpen: "waits for a decision", RequestApproved: "approved", RequestDeclined: "declined"}
	connectionStates = map[string]string{statusDraft: "draft", statusActive: "active", statusDisabled: "disabled"}
	moveOutcomes     = map[string]string{moveByKey: "is linked by the directory's identifier", moveByEmail: "is linked by the address", moveDone: "is there already",
		moveAmbiguous: "cannot be told from somebody else", moveLeft: "stays here"}
	rekeyOutcomes = map[string]string{rekeyDone: "has the new key", rekeyMatched: "has it from the last sign-in", rekeyDirectory: "has it from the directory",
		rekeyAmbiguous: "cannot be told from somebody else", rekeyUnknown: "gets it at the next sign-in"}
	rekeyWords = map[string]string{rekeyDone: "have the new key", rekeyMatched: "have it from their last sign-in", rekeyDirectory: "have it from the directory",
		rekeyAmbiguous: "cannot be told from somebody else yet", rekeyUnknown: "get it at their next sign-in"}
)

// Why an account was found, see Outcome.Why.
const (
	whyExpected  = "an admin moves the person to this connection"
	whyExternal  = "a directory knows the person by the external ID %q"
	whyUserName  = "a directory sent the person with the user name %q"
	whyAddress   = "a directory sent the person with the address %s"
	whyEmail     = "the account has the address %s, in a domain that the organization has proved"
	whyRekeyed   = "the new key of the running re-key was bound to this account before"
	whyCreated   = "nobody here had the subject or the address, and this connection creates accounts"
	whyIdentity  = "the subject was bound to this account before"
	howApproved  = "the request was approved by %s"
	howConfirmed = "confirmed by a mail to the account's address"
	howLinked    = "linked by %s"
	howNextKey   = "came with the old key while the connection was re-keyed"
	howRekeyed   = "re-keyed: %v"
)

// What becomes of somebody in a move or a re-key.
const (
	howThere     = "has an identity there already"
	howSomebody  = "somebody else fits as well"
	howStatus    = "the account is %s"
	howNameless  = "has no address and no external ID of a directory"
	howByKey     = "linked at the first sign-in with the directory's external ID %q"
	howByAddress = "linked at the first sign-in with the address %s"
	howBound     = "the new key is bound"
	howSameKey   = "somebody else has the same new key, so it is bound to nobody before they sign in"
	howLast      = "it came with the last sign-in"
	howAtNext    = "it is bound at the next sign-in, while both keys are accepted"
	howDirectory = "it is the directory's external ID"
)

var hows = web.Know(whyExpected, whyExternal, whyUserName, whyAddress, whyEmail, whyRekeyed, whyCreated, whyIdentity,
	howApproved, howConfirmed, howLinked, howNextKey, howRekeyed,
	howThere, howSomebody, howStatus, howNameless, howByKey, howByAddress, howBound, howSameKey, howLast, howAtNext, howDirectory)

// StateSaid is State for a page.
func (k SPKey) StateSaid() web.Said { return web.Say(keyStates[k.State]) }

// StateSaid is State for a page.
func (k ClientKey) StateSaid() web.Said { return web.Say(keyStates[k.State]) }

// StateSaid is State for a page.
func (q AccessRequest) StateSaid() web.Said { return web.Say(requestStates[q.State]) }

func (l linkLine) StateSaid() web.Said { return web.Say(linkStates[l.State]) }

func (p deskPage) StatusSaid() web.Said { return web.Say(connectionStates[p.Status]) }

func (l connectionLine) StatusSaid() web.Said { return web.Say(connectionStates[l.Status]) }

// HowSaid is How for a page.
func (i Identity) HowSaid() web.Said { return hows.Read(i.How) }

// HowSaid is How for a page; a hint of a refusal says its whole sentence.
func (l MoveLine) HowSaid() web.Said {
	if !l.hint.IsZero() {
		return l.hint
	}
	return hows.Read(l.How)
}

// OutcomeSaid is Outcome for a page.
func (l MoveLine) OutcomeSaid() web.Said { return web.Say(moveOutcomes[l.Outcome]) }

// HowSaid is How for a page.
func (l RekeyLine) HowSaid() web.Said { return hows.Read(l.How) }

// OutcomeSaid is Outcome for a page.
func (l RekeyLine) OutcomeSaid() web.Said { return web.Say(rekeyOutcomes[l.Outcome]) }

// english is what programs read of sentences.
func english(list []web.Said) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.String()
	}
	return out
}

// What an outcome says beside Why, see Outcome and AttributeChange.
const (
	noteNextKey    = "The new key of the running re-key was bound to the account."
	noteOtherKey   = "Another new key of the running re-key is bound to the account; this one was not."
	noteRoleStays  = "The role %s stays: the list %q did not come, or not whole."
	noteTeamStays  = "The team %s stays: the list %q did not come, or not whole."
	noteAdminStays = "The role admin stays: nobody else is an active admin."
	noteNoTeam     = "There is no team %q for %v."
	noteLeftOut    = "The attribute %s was left out: %v"
	noteLeftAsIs   = "The attributes were left as they are: %v"
	leftUnstorable = "it cannot be stored: %v"
	leftLocked     = "an admin keeps it as it is"
	leftDirectory  = "a directory manages the person"
	fromFixed      = "fixed value"
	fromDefault    = "default value"
)

var (
	notes   = web.Know(noteNextKey, noteOtherKey, noteRoleStays, noteTeamStays, noteAdminStays, noteNoTeam, noteLeftOut, noteLeftAsIs, "groups %q")
	lefts   = web.Know(leftUnstorable, leftLocked, leftDirectory)
	froms   = web.Know(fromFixed, fromDefault)
	changed = map[string]string{changeGained: "gained", changeLost: "lost", changeKept: "kept"}
	vouched = map[answer.Word]string{answer.SaidYes: "verified, says the provider", answer.SaidNo: "not verified, says the provider"}
)

// WhySaid is Why for a page.
func (o Outcome) WhySaid() web.Said { return hows.Read(o.Why) }

// NotesSaid are Notes for a page.
func (o Outcome) NotesSaid() []web.Said {
	list := make([]web.Said, len(o.Notes))
	for i, n := range o.Notes {
		list[i] = notes.Read(n)
	}
	return list
}

// FromSaid is From for a page.
func (a AttributeChange) FromSaid() web.Said { return froms.Read(a.From) }

// LeftSaid is Left for a page.
func (a AttributeChange) LeftSaid() web.Said { return lefts.Read(a.Left) }

// ReasonSaid is Reason for a page.
func (g GivenChange) ReasonSaid() web.Said { return web.GivenFor(g.Reason) }

// ChangeSaid is Change for a page.
func (g GivenChange) ChangeSaid() web.Said { return web.Say(changed[g.Change]) }

// What the DNS said of a domain, and why a change of metadata waits, as both are stored.
const (
	dnsNone      = "There is no TXT record at %s."
	dnsSilent    = "The DNS did not answer: %s"
	dnsThere     = "The record is there."
	dnsOthers    = "%s has other records: %s."
	dnsTaken     = takenWords + "."
	dangerSigner = "The metadata is not signed by the pinned certificate: %s."
	dangerEntity = "The entity ID is another one."
	dangerWhere  = "People would be sent to %s, where nobody was sent before."
	dangerCerts  = "All signing certificates are new at once."
)

var (
	dnsAnswers = web.Know(dnsNone, dnsSilent, dnsThere, dnsOthers, dnsTaken)
	dangerous  = web.Know(dangerSigner, dangerEntity, dangerWhere, dangerCerts)
)

// ProblemSaid is Problem for a page.
func (s MetadataState) ProblemSaid() web.Said { return s.said }

// AnswerSaid is Answer for a page.
func (d Domain) AnswerSaid() web.Said { return dnsAnswers.Read(d.Answer) }

// ReasonsSaid are Reasons for a page.
func (p PendingMetadata) ReasonsSaid() []web.Said {
	list := make([]web.Said, len(p.Reasons))
	for i, r := range p.Reasons {
		list[i] = dangerous.Read(r)
	}
	return list
}
