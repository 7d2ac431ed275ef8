package factor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/store"
)

// Limits. An answer of a device is some hundred bytes, a few thousand with an attestation.
const (
	maxPasskeys = 20
	maxAnswer   = 32 << 10
	maxKey      = 4 << 10
	maxName     = 60
)

// PasskeyID names a passkey.
type PasskeyID = store.ID[Passkey]

// Passkey is a key pair whose private half a device of the person has.
type Passkey struct {
	ID        PasskeyID    `db:"id"`
	User      store.UserID `db:"user_id"`
	Name      string       `db:"name"`
	Synced    bool         `db:"backup_eligible"` // it may live on several devices of the person
	BackedUp  bool         `db:"backed_up"`
	CreatedAt store.Time   `db:"created_at"`
	UsedAt    store.Time   `db:"used_at"`
	CopiedAt  store.Time   `db:"copied_at"` // its counter went back: it is not used any more
	// SecondOnly: a security key of which the button alone was asked, no PIN and no finger.
	// Whoever finds it could press it, so it is good beside a password and nowhere else.
	SecondOnly bool `db:"second_only"`
}

// Kind is what the log of sign-ins calls it.
func (k Passkey) Kind() Kind {
	if k.SecondOnly {
		return SecurityKey
	}
	return PasskeyKind
}

// AMR is how the person proved it, in the words of RFC 8176: a key that never leaves its
// device, or one that may be synced.
func (k Passkey) AMR() string {
	if k.Synced {
		return "swk"
	}
	return "hwk"
}

type passkeyRow struct {
	Passkey
	Credential []byte `db:"credential"`
	PublicKey  []byte `db:"public_key"`
	AAGUID     string `db:"aaguid"`
	Transports string `db:"transports"`
	SignCount  int64  `db:"sign_count"`
}

const passkeyColumns = `SELECT id, user_id, name, backup_eligible, backed_up, created_at, used_at, copied_at, second_only, credential, public_key, aaguid, transports, sign_count FROM passkeys`

func (r passkeyRow) credential() webauthn.Credential {
	c := webauthn.Credential{ID: r.Credential, PublicKey: r.PublicKey, Flags: webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: r.Synced, BackupState: r.BackedUp},
		Authenticator: webauthn.Authenticator{SignCount: uint32(r.SignCount)}}
	for t := range strings.FieldsSeq(r.Transports) {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c
}

// holder is a person as the library wants it.
type holder struct {
	handle        []byte
	name, display string
	credentials   []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return h.handle }
func (h holder) WebAuthnName() string                       { return h.name }
func (h holder) WebAuthnDisplayName() string                { return h.display }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// handleOf is what a passkey knows its person by: organization and user.
func handleOf(org store.OrgID, user store.UserID) []byte {
	b, err := hex.DecodeString(string(org) + string(user))
	if err != nil {
		return nil
	}
	return b
}

func ofHandle(handle []byte) (org store.OrgID, user store.UserID, ok bool) {
	if len(handle) != 32 {
		return "", "", false
	}
	text := hex.EncodeToString(handle)
	return store.OrgID(text[:32]), store.UserID(text[32:]), true
}

// Ceremony is what a page needs to ask a device.
type Ceremony struct {
	Options string // JSON for the script
	Ticket  string
}

// Passkeys are somebody's, newest first.
func (s *Store) Passkeys(tx *store.Tx, user store.UserID) ([]Passkey, error) {
	rows, err := s.rows(tx, user)
	list := make([]Passkey, len(rows))
	for i, r := range rows {
		list[i] = r.Passkey
	}
	return list, err
}

func (s *Store) rows(tx *store.Tx, user store.UserID) (rows []passkeyRow, err error) {
	return rows, tx.Select(&rows, passkeyColumns+" WHERE org_id = ? AND user_id = ? ORDER BY id DESC LIMIT 100", tx.Org(), user)
}

// BeginPasskey asks a device for a new key pair, for somebody whom bind names. Faults:
// Conflict (there can be none here, or there are too many).
func (s *Store) BeginPasskey(tx *store.Tx, bind string, user store.UserID, orgName string) (c Ceremony, err error) {
	return s.beginNew(tx, bind, ticket{User: user}, orgName)
}

// BeginKey is BeginPasskey for a security key that is to stand beside a password: its
// button is asked for and no PIN, as the older ones have none.
func (s *Store) BeginKey(tx *store.Tx, bind string, user store.UserID, orgName string) (c Ceremony, err error) {
	return s.beginNew(tx, bind, ticket{User: user, SecondOnly: true}, orgName, webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		AuthenticatorAttachment: protocol.CrossPlatform, RequireResidentKey: protocol.ResidentKeyNotRequired(),
		ResidentKey: protocol.ResidentKeyRequirementDiscouraged, UserVerification: protocol.VerificationDiscouraged}))
}

func (s *Store) beginNew(tx *store.Tx, bind string, t ticket, orgName string, opts ...webauthn.RegistrationOption) (c Ceremony, err error) {
	user := t.User
	if s.passkeys == nil {
		return c, fault.Conflict.Say("%s", s.why)
	}
	p, err := s.person(tx, user)
	if err != nil {
		return c, err
	}
	rows, err := s.rows(tx, user)
	if err != nil {
		return c, err
	}
	if len(rows) >= maxPasskeys {
		return c, tooMany()
	}
	h := holder{handle: handleOf(tx.Org(), user), name: label(p.Login, "account") + " (" + label(orgName, "Muster") + ")", display: label(p.Name, label(p.Login, "account"))}
	var not []protocol.CredentialDescriptor
	for _, r := range rows {
		c := r.credential()
		not = append(not, c.Descriptor())
	}
	creation, session, err := s.passkeys.BeginRegistration(h, append(opts, webauthn.WithExclusions(not))...)
	if err != nil {
		return c, err
	}
	t.Challenge = session.Challenge
	return s.ceremony(ToRegister, bind, t, creation.Response)
}

func (s *Store) ceremony(p Purpose, bind string, t ticket, options any) (c Ceremony, err error) {
	text, err := json.Marshal(options)
	if err != nil {
		return c, err
	}
	c.Options = string(text)
	c.Ticket, err = s.seal(p, bind, t)
	return c, err
}

func tooMany() error {
	return fault.Conflict.Say("You have %d passkeys already. Remove one that you do not use.", maxPasskeys)
}

// NewPasskey is a device's answer that has been checked.
type NewPasskey struct {
	user       store.UserID
	credential *webauthn.Credential
	secondOnly bool
}

// Kind is what it becomes.
func (n NewPasskey) Kind() Kind { return Passkey{SecondOnly: n.secondOnly}.Kind() }

// AMR is how a sign-in proves it that makes the passkey.
func (n NewPasskey) AMR() string {
	return Passkey{Synced: n.credential.Flags.BackupEligible}.AMR()
}

// CheckPasskey checks a device's answer to BeginPasskey or BeginKey. The challenge is used up,
// whatever comes of it. Faults: Expired, Invalid.
func (s *Store) CheckPasskey(ctx context.Context, bind string, org store.OrgID, user store.UserID, ticketText, answer string) (NewPasskey, error) {
	var n NewPasskey
	if s.passkeys == nil || len(answer) > maxAnswer {
		return n, unreadable(nil)
	}
	t, err := s.open(ToRegister, bind, ticketText)
	if err != nil {
		return n, err
	}
	if t.User != user {
		return n, tookTooLong()
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return n, unreadable(err)
	}
	if err := s.burn(ctx, t); err != nil {
		return n, err
	}
	h, uv := holder{handle: handleOf(org, user)}, protocol.VerificationRequired
	if t.SecondOnly {
		uv = protocol.VerificationDiscouraged
	}
	c, err := s.passkeys.CreateCredential(h, webauthn.SessionData{Challenge: t.Challenge, RelyingPartyID: s.passkeys.Config.RPID, UserID: h.handle,
		UserVerification: uv, CredParams: webauthn.CredentialParametersDefault()}, parsed)
	if err != nil {
		return n, fault.Invalid.Wrap(told(err), "The passkey could not be checked. Nothing was added; try once more, or use another device.")
	}
	if len(c.PublicKey) > maxKey || len(c.ID) > 1023 { // Web Authentication §4, credential ID
		return n, unreadable(nil)
	}
	return NewPasskey{user: user, credential: c, secondOnly: t.SecondOnly}, nil
}

func unreadable(err error) error {
	return fault.Invalid.Wrap(err, "The browser sent nothing that can be read as a passkey. Try once more.")
}

// told is an error of the library with what it says to developers.
func told(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.DevInfo != "" {
		return fmt.Errorf("%w (%s)", err, e.DevInfo)
	}
	return err
}

// AddPasskey gives a checked passkey to the actor. codes are recovery codes, when there
// were none yet. Faults: Denied, Conflict (too many, or known already).
func (s *Store) AddPasskey(tx *store.Tx, n NewPasskey, name string) (codes []string, err error) {
	p, rule, err := s.self(tx)
	switch {
	case err != nil:
		return nil, err
	case rule.Emergency:
		return nil, emergency()
	case p.ID != n.user:
		return nil, tookTooLong()
	case n.secondOnly && rule.Off:
		return nil, fault.Denied.Say("Your organization asks for no second factor, and a security key without a PIN is nothing else. Make a passkey instead.")
	}
	var count int
	if err := tx.Get(&count, "SELECT count(*) FROM passkeys WHERE org_id = ? AND user_id = ?", tx.Org(), p.ID); err != nil {
		return nil, err
	}
	if count >= maxPasskeys {
		return nil, tooMany()
	}
	if name = Clean(name, maxName); name == "" {
		name = "Passkey of " + tx.Now().Time().Format("2 January 2006")
		if n.secondOnly {
			name = "Security key of " + tx.Now().Time().Format("2 January 2006")
		}
	}
	c := n.credential
	aaguid, _ := uuid.FromBytes(c.Authenticator.AAGUID)
	transports := make([]string, 0, len(c.Transport))
	for _, t := range c.Transport[:min(len(c.Transport), 10)] {
		if text := string(t); len(text) <= 20 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == "" {
			transports = append(transports, text)
		}
	}
	added, err := tx.Exec(`INSERT INTO passkeys (org_id, id, user_id, credential_hash, credential, public_key, aaguid, transports, name, sign_count, backup_eligible, backed_up, created_at, second_only)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, credential_hash) DO NOTHING`,
		tx.Org(), store.NewID[Passkey](), p.ID, credentialHash(c.ID), c.ID, c.PublicKey, aaguid.String(), strings.Join(transports, " "), name,
		int64(c.Authenticator.SignCount), c.Flags.BackupEligible, c.Flags.BackupState, tx.Now(), n.secondOnly)
	if err != nil {
		return nil, err
	}
	if added == 0 {
		return nil, fault.Conflict.Say("This passkey is registered here already.")
	}
	if codes, err = s.firstCodes(tx, p); err != nil {
		return nil, err
	}
	act := store.Activity{Action: "user.passkey.add", Detail: map[string]any{"passkey": name, "synced": c.Flags.BackupEligible}}
	if n.secondOnly {
		act.Detail["second_only"] = true
		return codes, s.changed(tx, p, act, texts.Say("A security key was added to your account"),
			texts.Say("From now on signing in with your password also asks for the security key “%s”.", name))
	}
	return codes, s.changed(tx, p, act,
		texts.Say("A passkey was added to your account"), texts.Say("The passkey “%s” can now be used to sign in to your account.", name))
}

func credentialHash(id []byte) string { return secret.Hash(string(id)) }

// BeginSignIn asks a device for the proof that somebody holds a passkey, whoever it is.
// It says nothing of anybody, and stores nothing.
func (s *Store) BeginSignIn(bind string) (Ceremony, error) {
	return s.beginProof(ToSignIn, bind, protocol.VerificationRequired, nil)
}

// BeginProof asks for a passkey of one person who is known already: as a second factor,
// where holding it is enough, or to prove it once more, where it stands for everything.
// No Options: the person has none.
func (s *Store) BeginProof(tx *store.Tx, p Purpose, bind string, user store.UserID) (Ceremony, error) {
	if s.passkeys == nil {
		return Ceremony{}, nil
	}
	rows, err := s.rows(tx, user)
	if err != nil {
		return Ceremony{}, err
	}
	var allowed []protocol.CredentialDescriptor
	uv := verification(p)
	if p.beside() {
		uv = protocol.VerificationDiscouraged
	}
	for _, r := range rows {
		if r.CopiedAt != 0 || r.SecondOnly && !p.beside() {
			continue
		}
		if !r.SecondOnly {
			uv = verification(p)
		}
		c := r.credential()
		allowed = append(allowed, c.Descriptor())
	}
	if len(allowed) == 0 {
		return Ceremony{}, nil
	}
	return s.beginProof(p, bind, uv, allowed)
}

// verification: the device must have asked for a PIN or a finger where nothing else is
// asked.
func verification(p Purpose) protocol.UserVerificationRequirement {
	if p.beside() {
		return protocol.VerificationPreferred
	}
	return protocol.VerificationRequired
}

func (s *Store) beginProof(p Purpose, bind string, uv protocol.UserVerificationRequirement, allowed []protocol.CredentialDescriptor) (Ceremony, error) {
	if s.passkeys == nil {
		return Ceremony{}, nil
	}
	opts := []webauthn.LoginOption{webauthn.WithUserVerification(uv)}
	if len(allowed) > 0 {
		opts = append(opts, webauthn.WithAllowedCredentials(allowed))
	}
	assertion, session, err := s.passkeys.BeginDiscoverableLogin(opts...)
	if err != nil {
		return Ceremony{}, err
	}
	return s.ceremony(p, bind, ticket{Challenge: session.Challenge}, assertion.Response)
}

// Proof is a device's answer, read and not checked yet: whose it says to be, and of
// which passkey.
type Proof struct {
	Org  store.OrgID // empty: the device did not say
	User store.UserID

	purpose   Purpose
	challenge string
	parsed    *protocol.ParsedCredentialAssertionData
}

// ReadProof reads a device's answer and uses its challenge up. Faults: Expired, Invalid.
func (s *Store) ReadProof(ctx context.Context, p Purpose, bind, ticketText, answer string) (Proof, error) {
	none := Proof{}
	if s.passkeys == nil || len(answer) > maxAnswer {
		return none, unreadable(nil)
	}
	t, err := s.open(p, bind, ticketText)
	if err != nil {
		return none, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return none, unreadable(err)
	}
	if err := s.burn(ctx, t); err != nil {
		return none, err
	}
	proof := Proof{purpose: p, challenge: t.Challenge, parsed: parsed}
	if handle := parsed.Response.UserHandle; len(handle) > 0 {
		org, user, ok := ofHandle(handle)
		if !ok {
			return none, unreadable(nil)
		}
		proof.Org, proof.User = org, user
	} else if p == ToSignIn {
		return none, unreadable(nil)
	}
	return proof, nil
}

// WrongPasskey is the answer to a proof that proves nothing.
var WrongPasskey = fault.Invalid.On("passkey", "This passkey does not open an account here. Use another one, or sign in another way.")

// Refusal is why a proof proves nothing, for an administrator.
type Refusal struct {
	Check, Why, Expected, Got string
	Name                      string // of the passkey, when it is known
}

func (r *Refusal) Error() string { return r.Check + ": " + r.Why }

// UsePasskey checks a proof for one person of the transaction's organization and notes the
// use. It refuses with WrongPasskey's sentence around a *Refusal. When the device's counter
// went back there may be two of it: then copied is set besides, and the transaction must be
// kept, so that the passkey is not used any more.
func (s *Store) UsePasskey(tx *store.Tx, user store.UserID, proof Proof) (k Passkey, copied bool, err error) {
	no := func(r Refusal, cause error) error {
		if cause != nil {
			r.Got = cause.Error()
		}
		return &fault.Error{Kind: fault.Invalid, Field: "passkey", Public: fault.Public(WrongPasskey), Err: &r}
	}
	if proof.parsed == nil || proof.User != "" && (proof.User != user || proof.Org != tx.Org()) {
		return k, false, no(Refusal{Check: "passkey", Why: "The passkey is of another account.", Expected: "a passkey of this account", Got: "another one"}, nil)
	}
	var row passkeyRow
	err = tx.Get(&row, passkeyColumns+" WHERE org_id = ? AND credential_hash = ? AND user_id = ?"+tx.ForUpdate(), tx.Org(), credentialHash(proof.parsed.RawID), user)
	if fault.Is(err, fault.NotFound) {
		return k, false, no(Refusal{Check: "passkey", Why: "The passkey is not registered, or was removed.", Expected: "a registered passkey of the account", Got: "another one"}, nil)
	}
	if err != nil {
		return k, false, err
	}
	if row.CopiedAt != 0 {
		return k, false, no(Refusal{Check: "signature counter", Why: "The passkey was stopped when its counter went back.", Expected: "a passkey that was not stopped", Got: "this one", Name: row.Name}, nil)
	}
	if row.SecondOnly && !proof.purpose.beside() {
		return k, false, no(Refusal{Check: "passkey", Why: "The security key stands beside a password only: no PIN and no finger were asked for when it was added.", Expected: "a passkey", Got: "a security key for the second step", Name: row.Name}, nil)
	}
	h := holder{handle: handleOf(tx.Org(), user), credentials: []webauthn.Credential{row.credential()}}
	checked, err := s.passkeys.ValidateLogin(h, webauthn.SessionData{Challenge: proof.challenge, RelyingPartyID: s.passkeys.Config.RPID, UserID: h.handle,
		UserVerification: verification(proof.purpose)}, proof.parsed)
	if err != nil {
		return k, false, no(Refusal{Check: "passkey", Why: "The device's answer is not right.", Expected: fmt.Sprintf("a signature of this challenge for %s", s.passkeys.Config.RPOrigins[0]), Name: row.Name}, told(err))
	}
	if checked.Authenticator.CloneWarning {
		return k, true, s.stop(tx, row, proof, no)
	}
	_, err = tx.Exec("UPDATE passkeys SET sign_count = ?, backed_up = ?, used_at = ? WHERE org_id = ? AND id = ?",
		int64(checked.Authenticator.SignCount), checked.Flags.BackupState, tx.Now(), tx.Org(), row.ID)
	return row.Passkey, false, err
}

// stop keeps a passkey from being used that there may be two of (Web Authentication §6.1.1).
func (s *Store) stop(tx *store.Tx, row passkeyRow, proof Proof, no func(Refusal, error) error) error {
	if _, err := tx.Exec("UPDATE passkeys SET copied_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), row.ID); err != nil {
		return err
	}
	p, err := s.person(tx, row.User)
	if err != nil {
		return err
	}
	got := int64(proof.parsed.Response.AuthenticatorData.Counter)
	err = s.changed(tx, p, store.Activity{Action: "user.passkey.stop", Detail: map[string]any{"passkey": row.Name, "counter_before": row.SignCount, "counter_now": got}},
		texts.Say("A passkey of yours was stopped"), texts.Say("The passkey “%s” was used with a counter that went back. That happens when somebody has a copy of it, so it does not work any more.", row.Name),
		texts.Say("Remove it on the page of your account, and make a new one."))
	if err != nil {
		return err
	}
	return no(Refusal{Check: "signature counter", Why: "The counter of the device went back: there may be a copy of it.", Name: row.Name,
		Expected: fmt.Sprintf("more than %d", row.SignCount), Got: fmt.Sprint(got)}, nil)
}

// Rename gives a passkey of the actor another name. Faults: NotFound, Invalid.
func (s *Store) Rename(tx *store.Tx, id PasskeyID, name string) error {
	p, _, err := s.self(tx)
	if err != nil {
		return err
	}
	if name = Clean(name, maxName); name == "" {
		return fault.Invalid.On("name", "Enter a name for the passkey.")
	}
	row, err := s.mine(tx, p.ID, id)
	if err != nil || row.Name == name {
		return err
	}
	if _, err := tx.Exec("UPDATE passkeys SET name = ? WHERE org_id = ? AND id = ?", name, tx.Org(), id); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "user.passkey.rename", TargetKind: "user", TargetID: string(p.ID), TargetName: p.Name, Detail: map[string]any{"before": row.Name, "after": name}})
}

// RemovePasskey takes one of the actor's away. Faults: NotFound, Conflict (it is the last
// factor, and one is required).
func (s *Store) RemovePasskey(tx *store.Tx, id PasskeyID) error {
	p, rule, err := s.self(tx)
	if err != nil {
		return err
	}
	row, err := s.mine(tx, p.ID, id)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM passkeys WHERE org_id = ? AND id = ?", tx.Org(), id); err != nil {
		return err
	}
	if err := s.maySpare(tx, p.ID, rule); err != nil {
		return err
	}
	return s.changed(tx, p, store.Activity{Action: "user.passkey.remove", Detail: map[string]any{"passkey": row.Name}}, texts.Say("A passkey was removed from your account"),
		texts.Say("The passkey “%s” was taken off your account. It does not work here any more.", row.Name))
}

func (s *Store) mine(tx *store.Tx, user store.UserID, id PasskeyID) (row passkeyRow, err error) {
	err = tx.Get(&row, passkeyColumns+" WHERE org_id = ? AND id = ? AND user_id = ?", tx.Org(), id, user)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFound.Wrap(err, "You have no such passkey: it may have been removed already.")
	}
	return row, err
}
