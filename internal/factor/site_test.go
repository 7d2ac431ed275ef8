package factor_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const (
	origin  = "https://id.acme.example"
	browser = "this browser"
)

// site is a store of factors, and one person of one organization.
type site struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	s     *factor.Store
	key   secret.Key
	org   store.OrgID
	ada   store.UserID
	rule  factor.Rule

	mu      sync.Mutex // guards letters
	letters []factor.Letter
}

func each(t *testing.T, f func(t *testing.T, s *site)) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		org, actor := storetest.Org(t, db, "acme")
		s := &site{t: t, db: db, clock: clock, org: org, key: secret.NewKey()}
		s.s = s.store(origin, s.key)
		s.ada = s.user(actor, "ada@acme.example")
		f(t, s)
	})
}

func (s *site) store(url string, key secret.Key) *factor.Store {
	return factor.New(factor.Options{DB: s.db, Key: key, PublicURL: url,
		Rule: func(*store.Tx, store.UserID) (factor.Rule, error) { return s.rule, nil },
		Tell: func(_ *store.Tx, l factor.Letter) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.letters = append(s.letters, l)
			return nil
		}})
}

func (s *site) user(actor access.Actor, name string) store.UserID {
	s.t.Helper()
	var u store.User
	err := s.db.Write(s.t.Context(), actor, func(tx *store.Tx) (err error) {
		p := store.Profile{UserName: name, Email: name, GivenName: "Ada", FamilyName: "Lovelace"}
		u, err = tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromAPI, Status: store.Active})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}

// as runs a change as a person.
func (s *site) as(user store.UserID, do func(tx *store.Tx) error) error {
	return s.db.Write(s.t.Context(), access.Actor{Kind: access.Person, Org: string(s.org), ID: string(user), Name: "Ada", IP: "192.0.2.1"}, do)
}

func (s *site) read(do func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Read(s.t.Context(), access.Muster(string(s.org)), do); err != nil {
		s.t.Fatal(err)
	}
}

// device is an authenticator with one key pair.
type device struct {
	auth virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
	rp   virtualwebauthn.RelyingParty
}

func newDevice() *device {
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(key.Key.AttestationData()) != 77 { // the module forgets a leading zero (RFC 9053 §7.1.1)
		key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return &device{auth: virtualwebauthn.NewAuthenticator(), key: key, rp: virtualwebauthn.RelyingParty{ID: "id.acme.example", Name: "Muster", Origin: origin}}
}

// make answers the page that asks for a new passkey.
func (d *device) make(t *testing.T, c factor.Ceremony) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(c.Options)
	if err != nil {
		t.Fatalf("%s: %v", c.Options, err)
	}
	d.auth.Options.UserHandle = []byte(o.UserID)
	return virtualwebauthn.CreateAttestationResponse(d.rp, d.auth, d.key, *o)
}

// prove answers a page that asks for a passkey.
func (d *device) prove(t *testing.T, c factor.Ceremony) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(c.Options)
	if err != nil {
		t.Fatalf("%s: %v", c.Options, err)
	}
	d.key.Counter++
	return virtualwebauthn.CreateAssertionResponse(d.rp, d.auth, d.key, *o)
}

// begin asks for a new passkey of somebody.
func (s *site) begin(user store.UserID) (c factor.Ceremony) {
	s.t.Helper()
	s.read(func(tx *store.Tx) (err error) {
		c, err = s.s.BeginPasskey(tx, browser, user, "acme Inc")
		return err
	})
	return c
}

// register gives somebody a passkey.
func (s *site) register(user store.UserID, d *device, name string) (codes []string, err error) {
	s.t.Helper()
	c := s.begin(user)
	made, err := s.s.CheckPasskey(s.t.Context(), browser, s.org, user, c.Ticket, d.make(s.t, c))
	if err != nil {
		return nil, err
	}
	err = s.as(user, func(tx *store.Tx) (err error) {
		codes, err = s.s.AddPasskey(tx, made, name)
		return err
	})
	return codes, err
}

func (s *site) mustRegister(user store.UserID) *device {
	s.t.Helper()
	d := newDevice()
	if _, err := s.register(user, d, "Laptop"); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// ask is the page of a sign-in.
func (s *site) ask() factor.Ceremony {
	s.t.Helper()
	c, err := s.s.BeginSignIn(browser)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// use is the answer of a device at the end of a sign-in.
func (s *site) use(p factor.Purpose, ticket, answer string) (k factor.Passkey, copied bool, err error) {
	proof, err := s.s.ReadProof(s.t.Context(), p, browser, ticket, answer)
	if err != nil {
		return k, false, err
	}
	user := proof.User
	if user == "" {
		user = s.ada
	}
	var kept error
	err = s.as(user, func(tx *store.Tx) (err error) {
		k, copied, kept = s.s.UsePasskey(tx, user, proof)
		if copied {
			return nil
		}
		return kept
	})
	return k, copied, errors.Join(err, kept)
}

func (s *site) signIn(d *device) error {
	s.t.Helper()
	c := s.ask()
	_, _, err := s.use(factor.ToSignIn, c.Ticket, d.prove(s.t, c))
	return err
}

// refusedFor fails unless err is a refusal for this check.
func refusedFor(t *testing.T, err error, check string) {
	t.Helper()
	why, ok := errors.AsType[*factor.Refusal](err)
	if !ok || !strings.Contains(why.Check+": "+why.Why+" "+why.Got, check) || !fault.Is(err, fault.Invalid) {
		t.Errorf("refused with %v (%+v), want one for %q", err, why, check)
	}
}

// app gives somebody an authenticator app, and its secret.
func (s *site) app(user store.UserID) (seed string, codes []string) {
	s.t.Helper()
	a, err := s.s.BeginApp(browser, user, "acme Inc", "ada@acme.example")
	if err != nil {
		s.t.Fatal(err)
	}
	seed = strings.ReplaceAll(a.Secret, " ", "")
	err = s.as(user, func(tx *store.Tx) (err error) {
		codes, err = s.s.AddApp(tx, a, s.code(seed, 0))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return seed, codes
}

// code is what an app shows, so many steps from now.
func (s *site) code(seed string, steps int) string {
	s.t.Helper()
	code, err := totp.GenerateCode(seed, s.clock.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// useCode is a code typed at a sign-in.
func (s *site) useCode(user store.UserID, code string) (kind factor.Kind, left int, err error) {
	err = s.as(user, func(tx *store.Tx) (err error) {
		kind, left, err = s.s.UseCode(tx, user, code)
		return err
	})
	return kind, left, err
}

func (s *site) has(user store.UserID) (f factor.Set) {
	s.t.Helper()
	s.read(func(tx *store.Tx) (err error) {
		f, err = s.s.Of(tx, user)
		return err
	})
	return f
}

// recorded are the actions in the activity log that begin so, oldest first.
func (s *site) recorded(prefix string) (list []string) {
	s.t.Helper()
	s.read(func(tx *store.Tx) error {
		acts, err := tx.Activities(store.ActivityQuery{Limit: 100})
		for _, a := range acts {
			if strings.HasPrefix(a.Action, prefix) {
				list = append(list, a.Action)
			}
		}
		return err
	})
	slices.Reverse(list)
	return list
}

// changed is a JSON answer with one of its texts put in the place of another.
func changed(t *testing.T, answer string, change func(response map[string]any)) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatal(err)
	}
	change(v["response"].(map[string]any))
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
