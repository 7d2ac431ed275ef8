package sso

import "github.com/muster-id/muster/sso/answer"

// arrival is a person at the door, with both protocols' differences settled.
type arrival struct {
	answer.Profile
	keys  []string    // values that a directory may have stored as externalId
	email answer.Word // what the provider says about the e-mail address being this person's
}

// claimWord is what a provider says about a yes-or-no matter.
type claimWord = answer.Word

const (
	unsaid  = answer.Unsaid
	saidYes = answer.SaidYes
	saidNo  = answer.SaidNo
)
