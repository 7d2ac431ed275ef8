package scim

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	scimerr "github.com/elimity-com/scim/errors"
)

const matchedUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
	"id":"0190c8b2f3a87c4e9d1a2b3c4d5e6f70","externalId":"Ext-1","userName":"BJensen@Example.com","active":true,
	"name":{"givenName":"Bärbel","familyName":"Jensen"},"title":"Head of \"R&D\"","nickName":"","profileUrl":"https://Example.com/b",
	"emails":[{"value":"Work@Example.com","type":"work","primary":true},{"value":"home@example.org","type":"home"}],
	"addresses":[{"type":"work","country":"DE"}],
	"x509Certificates":[{"value":"QUJD"}],
	"groups":[{"value":"0190c8b2f3a87c4e9d1a2b3c4d5e6f71","display":"Staff","type":"direct"}],
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Labs","manager":{"value":"0190c8b2f3a87c4e9d1a2b3c4d5e6f72"}},
	"meta":{"resourceType":"User","created":"2026-01-31T08:00:00.000Z","lastModified":"2026-02-01T08:00:00.250Z","location":"https://x/Users/1","version":"W/\"3\""}}`

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func TestMatch(t *testing.T) {
	t.Parallel()
	doc, err := decodeBytes([]byte(matchedUser))
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]bool{
		`userName eq "bjensen@example.COM"`:            true,
		`USERNAME Eq "bjensen@example.COM"`:            true,
		`userName ne "bjensen@example.COM"`:            false,
		`userName sw "bj"`:                             true,
		`userName ew ".COM"`:                           true,
		`userName co "SEN@"`:                           true,
		`userName co ""`:                               true,
		`userName gt "a"`:                              true,
		`userName lt "a"`:                              false,
		`externalId eq "Ext-1"`:                        true,
		`externalId eq "ext-1"`:                        false,
		`id eq "0190c8b2f3a87c4e9d1a2b3c4d5e6f70"`:     true,
		`id eq "0190C8B2F3A87C4E9D1A2B3C4D5E6F70"`:     false,
		`name.givenName eq "BÄRBEL"`:                   true,
		`name pr`:                                      true,
		`name.middleName pr`:                           false,
		`name.middleName ne "x"`:                       true,
		`not (name.middleName eq "x")`:                 true,
		`name.middleName eq null`:                      true,
		`name.givenName eq null`:                       false,
		`name.givenName ne null`:                       true,
		`title eq "head of \"r&d\""`:                   true,
		`nickName pr`:                                  false, // empty
		`nickName eq ""`:                               true,
		`displayName eq ""`:                            false, // absent
		`profileUrl eq "https://example.com/b"`:        false, // a reference is exact
		`active eq true`:                               true,
		`active eq "True"`:                             true,
		`active ne false`:                              true,
		`active pr`:                                    true,
		`emails eq "work@example.com"`:                 true,
		`emails.value eq "HOME@example.org"`:           true,
		`emails.value ne "home@example.org"`:           true, // "if any of the values"
		`emails ne "home@example.org"`:                 true,
		`emails.type ne "none"`:                        true,
		`not (emails eq "home@example.org")`:           false,
		`groups.type ne "direct"`:                      false, // there is no other
		`ims.type ne "aim"`:                            true,  // there is none
		`emails co "@example.org"`:                     true,
		`emails pr`:                                    true,
		`ims pr`:                                       false,
		`emails[type eq "work" and value ew ".com"]`:   true,
		`emails[type eq "work" and value ew ".org"]`:   false, // not the same element
		`emails.type eq "work" and emails ew ".org"`:   true,
		`emails[type eq "work"].value co "work"`:       true,
		`emails[not (type eq "work")]`:                 true,
		`emails[primary eq true]`:                      true,
		`emails[primary ne true and type eq "home"]`:   true,
		`emails[primary eq false]`:                     true, // "If not specified"
		`emails[primary eq false and type eq "work"]`:  false,
		`emails[primary ne false]`:                     true,
		`emails.primary eq false`:                      true,
		`emails.primary ne true`:                       true,
		`groups pr and emails.primary eq "False"`:      true,
		`ims.primary eq false`:                         false, // there is none
		`addresses.primary ne false`:                   false,
		`phoneNumbers.primary ne false`:                true,
		`addresses.country eq "de"`:                    true,
		`addresses pr`:                                 true,
		`x509Certificates eq "QUJD"`:                   true,
		`x509Certificates eq "qujd"`:                   false,
		`groups eq "0190c8b2f3a87c4e9d1a2b3c4d5e6f71"`: true,
		`groups.display eq "STAFF"`:                    true,
		`groups.type eq "direct"`:                      true,
		enterprise + `:department eq "labs"`:           true,
		`URN:IETF:params:scim:schemas:extension:Enterprise:2.0:user:Department eq "labs"`: true,
		enterprise + `.department eq "labs"`:                                              true, // AzureAD/SCIMReferenceCode
		enterprise + `:manager eq "0190c8b2f3a87c4e9d1a2b3c4d5e6f72"`:                     true,
		enterprise + `:manager.value sw "0190"`:                                           true,
		enterprise + `:manager[value sw "0190"]`:                                          true,
		enterprise + `:manager.displayName pr`:                                            false,
		userURN + `:userName pr`:                                                          true,
		`schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"`:                         true,
		`schemas co "enterprise"`:                                                         true,
		`schemas[value eq "urn:x"]`:                                                       false,
		`meta.resourceType eq "User"`:                                                     true,
		`meta.created eq "2026-01-31T08:00:00Z"`:                                          true,
		`meta.created eq "2026-01-31T09:00:00+01:00"`:                                     true,
		`meta.lastModified gt "2026-02-01T08:00:00.249"`:                                  true,
		`meta.lastModified gt "2026-02-01T08:00:00.2500001Z"`:                             false,
		`meta.lastModified le "2026-02-01T08:00:00.250Z"`:                                 true,
		`meta[created lt "2027-01-01T00:00:00Z"]`:                                         true,
		`meta pr`: true,
	} {
		e, err := ParseFilter(in, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, err := Match(e, doc, UserSchema()); err != nil || got != want {
			t.Errorf("%s holds = %v, %v; want %v", in, got, err, want)
		}
	}
}

// What makes no sense is refused, whether or not it would decide the answer.
func TestFiltersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`shoeSize eq 1`:                            `"shoeSize" is not an attribute of User`,
		`department eq "x"`:                        `needs its schema's URN`,
		`userName pr or shoeSize pr`:               `"shoeSize"`,
		`name.shoe eq "x"`:                         `"name.shoe"`,
		`urn:x:User:userName eq "x"`:               `"urn:x:User:userName"`,
		`emails[shoe eq "x"]`:                      `"shoe" is not a sub-attribute of emails`,
		`emails[emails.value eq "x"]`:              `"emails.value"`,
		`userName[value eq "x"]`:                   `no elements`,
		`emails.value[value eq "x"]`:               `no elements`,
		`userName eq 5`:                            `double quotes`,
		`userName eq true`:                         `double quotes`,
		`userName gt null`:                         `eq and ne only`,
		`active eq "yes"`:                          `true or false`,
		`active gt true`:                           `true or false`,
		`active sw "t"`:                            `true or false`,
		`emails[primary ge true]`:                  `true or false`,
		`name eq "x"`:                              `name.formatted`,
		`addresses eq "x"`:                         `addresses.formatted`,
		`meta.created eq "yesterday"`:              `dateTime`,
		`meta.created co "2026"`:                   `dateTime`,
		`x509Certificates gt "A"`:                  `binary`,
		`password eq "secret"`:                     `never be read`,
		`password pr`:                              `never be read`,
		`title pr and (title pr and not (x.y pr))`: `"x.y"`,
		`emails[type eq "work"].shoe eq "x"`:       `"shoe"`,
		`meta.version eq "W/\"1\""`:                `ETag`,
		`meta.location co "x"`:                     `only eq`,
		`title eq "` + manyLetters() + `"`:         `too many different letters`,
	} {
		e, err := ParseFilter(in, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		_, err = Bind(e, UserSchema(), BindOptions{})
		refusal, ok := errors.AsType[scimerr.ScimError](err)
		if !ok || refusal.ScimType != scimerr.ScimTypeInvalidFilter || !strings.Contains(refusal.Detail, want) {
			t.Errorf("%.60s: %v; want invalidFilter with %q", in, err, want)
		}
	}
}

func manyLetters() string {
	var b strings.Builder
	for r := 'А'; r <= 'я'; r++ { // Cyrillic
		b.WriteRune(r)
	}
	for r := 'Α'; r <= 'ω'; r++ { // Greek
		b.WriteRune(r)
	}
	for r := 'Ա'; r <= 'Ֆ'; r++ { // Armenian
		b.WriteRune(r)
	}
	return b.String()
}

func TestNumbersCompareExactly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"9007199254740993", "9007199254740992", 1}, {"123456789012345678901234567890", "123456789012345678901234567890", 0},
		{"1.5", "1.50", 0}, {"-1", "1e0", -1}, {"1e999999999", "2", 1},
	} {
		if got := compareNumbers(json.Number(c.a), json.Number(c.b)); got != c.want {
			t.Errorf("compare %s with %s = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
