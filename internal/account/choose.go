package account

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// choiceTTL is how long somebody may look at the list of their organizations.
const choiceTTL = 10 * time.Minute

// chosen is one account of a stored choice.
type chosen struct {
	Org   store.OrgID  `json:"org"`
	User  store.UserID `json:"user"`
	SetAt store.Time   `json:"set_at"` // of the password that was right
}

type choosePage struct {
	Token    string
	Accounts []password.Account
}

// offer shows the organizations in which the password was right. What was proved
// is kept under a one-time token that stands in the page alone.
func (a *Account) offer(w http.ResponseWriter, r *http.Request, found []password.Account, next string) error {
	list := make([]chosen, len(found))
	for i, f := range found {
		list[i] = chosen{f.Org, f.User, f.SetAt}
	}
	token, err := a.keep(r, list, next)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "choose", choosePage{Token: token, Accounts: found})
}

// keep stores what a password has proved, for the next step of the sign-in.
func (a *Account) keep(r *http.Request, list []chosen, next string) (token string, err error) {
	accounts, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	token = secret.NewToken()
	return token, a.opts.DB.Write(r.Context(), access.Muster(""), func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO signin_choices (token_hash, accounts, next_path, expires_at) VALUES (?, {{as_json}}, ?, ?)",
			secret.Hash(token), string(accounts), web.Local(next), tx.Now().Add(choiceTTL))
		return err
	})
}

func (a *Account) choose(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var row struct {
		Accounts []byte `db:"accounts"`
		Next     string `db:"next_path"`
	}
	err = a.opts.DB.Write(r.Context(), access.Muster(""), func(tx *store.Tx) error {
		return tx.Get(&row, "DELETE FROM signin_choices WHERE token_hash = ? AND expires_at > ? RETURNING accounts, next_path", secret.Hash(f.Get("choice")), tx.Now())
	})
	if fault.Is(err, fault.NotFound) {
		return fault.Expired.Say("This took too long, or was used already. Sign in again.")
	}
	if err != nil {
		return err
	}
	var list []chosen
	if err := json.Unmarshal(row.Accounts, &list); err != nil {
		return err
	}
	for _, c := range list {
		if string(c.Org) == f.Get("org") {
			return a.enter(w, r, c, row.Next)
		}
	}
	return fault.Invalid.On("org", "Choose one of your organizations. Sign in again.")
}
