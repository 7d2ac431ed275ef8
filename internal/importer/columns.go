package importer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/muster-id/muster/store"
)

// The fields of a person that a column can fill, as our own files spell them. An
// attribute of the organization's schemas is its URN, a colon and its name.
const (
	fieldEmail      = "email"
	fieldUserName   = "user_name"
	fieldGivenName  = "given_name"
	fieldFamilyName = "family_name"
	fieldName       = "display_name"
	fieldRole       = "role"
	fieldTitle      = "title"
	fieldDepartment = "department"
	fieldNumber     = "employee_number"
	fieldManager    = "manager"
	fieldPhone      = "phone"
	fieldTeams      = "teams"
	fieldAddress    = "address" // all lines of it
	fieldStreet     = "street"
	fieldPostalCode = "postal_code"
	fieldCity       = "city"
	fieldRegion     = "region"
	fieldCountry    = "country"
	fieldCompany    = "company"
	fieldDivision   = "division"
	fieldCostCenter = "cost_center"
	fieldLanguage   = "language"
	fieldTimeZone   = "time_zone"
)

// Field is something that a column can fill.
type Field struct {
	Name  string `json:"name"`
	Label string `json:"label"`

	attr store.Attribute // of the organization's schemas
	urn  string
}

// ownFields are in the order in which a template has them.
var ownFields = []Field{
	{Name: fieldEmail, Label: "E-mail address"}, {Name: fieldUserName, Label: "User name"},
	{Name: fieldGivenName, Label: "First name"}, {Name: fieldFamilyName, Label: "Last name"}, {Name: fieldName, Label: "Display name"},
	{Name: fieldRole, Label: "Role"}, {Name: fieldTitle, Label: "Job title"}, {Name: fieldDepartment, Label: "Department"},
	{Name: fieldNumber, Label: "Employee number"}, {Name: fieldManager, Label: "Manager"}, {Name: fieldPhone, Label: "Phone"}, {Name: fieldTeams, Label: "Teams"},
	{Name: fieldAddress, Label: "Postal address"}, {Name: fieldStreet, Label: "Street"}, {Name: fieldPostalCode, Label: "Postal code"}, {Name: fieldCity, Label: "City"},
	{Name: fieldRegion, Label: "State or region"}, {Name: fieldCountry, Label: "Country"},
	{Name: fieldCompany, Label: "Company"}, {Name: fieldDivision, Label: "Division"}, {Name: fieldCostCenter, Label: "Cost center"},
	{Name: fieldLanguage, Label: "Language"}, {Name: fieldTimeZone, Label: "Time zone"},
}

// spellings are what people's systems call a field, without spaces, punctuation and
// case: Google's "Email Address [Required]", Okta's "login", Entra's
// "userPrincipalName", BambooHR's "Employee #", Personio's "Supervisor", and what is
// typed by hand in English and German.
var spellings = map[string][]string{
	fieldEmail: {"email", "emailaddress", "mail", "mailaddress", "workemail", "primaryemail", "emailprimary", "emailaddresses", "businessemail", "emailwork", "companyemail",
		"emailadresse", "mailadresse", "epost", "geschäftlicheemail", "dienstlicheemail", "emaildienstlich", "emailgeschäftlich"},
	fieldUserName: {"username", "login", "userprincipalname", "upn", "userid", "loginname", "account", "accountname", "samaccountname",
		"benutzername", "benutzer", "anmeldename", "benutzerkennung", "kennung"},
	fieldGivenName:  {"givenname", "firstname", "first", "forename", "preferredfirstname", "vorname", "rufname"},
	fieldFamilyName: {"familyname", "lastname", "last", "surname", "sn", "nachname", "familienname", "zuname"},
	fieldName:       {"displayname", "name", "fullname", "preferredname", "employeename", "anzeigename", "vollername", "vollständigername", "mitarbeiter"},
	fieldRole:       {"role", "userrole", "accessrole", "rolle", "benutzerrolle"},
	fieldTitle:      {"title", "jobtitle", "position", "employeetitle", "jobinformationjobtitle", "jobname", "berufsbezeichnung", "stelle", "stellenbezeichnung", "funktion", "titel", "tätigkeit"},
	fieldDepartment: {"department", "dept", "jobinformationdepartment", "abteilung", "bereich", "fachbereich"},
	fieldNumber: {"employeenumber", "employeeid", "personnelnumber", "staffnumber", "employee", "employeeno", "personid", "workerid",
		"personalnummer", "personalnr", "mitarbeiternummer", "mitarbeiternr", "mitarbeiterid"},
	fieldManager: {"manager", "manageremail", "managerid", "managerusername", "reportsto", "reportingto", "supervisor", "supervisoremail", "manageremailaddress", "employeemanager",
		"vorgesetzter", "vorgesetzte", "führungskraft", "vorgesetzteremail", "leitung"},
	fieldPhone: {"phone", "phonenumber", "telephone", "telephonenumber", "mobile", "mobilephone", "workphone", "primaryphone", "mobilenumber", "businessphone", "businessphones", "phonework",
		"telefon", "telefonnummer", "handy", "mobiltelefon", "mobilnummer", "durchwahl", "rufnummer"},
	fieldTeams:      {"teams", "team", "groups", "group", "teamname", "gruppe", "gruppen", "mannschaft"},
	fieldAddress:    {"address", "workaddress", "postaladdress", "anschrift", "adresse"},
	fieldStreet:     {"street", "streetaddress", "addressline1", "address1", "straße", "strasse"},
	fieldPostalCode: {"postalcode", "zip", "zipcode", "postcode", "plz", "postleitzahl"},
	fieldCity:       {"city", "locality", "town", "stadt", "ort", "wohnort"},
	fieldRegion:     {"region", "state", "stateorregion", "province", "county", "bundesland", "kanton"},
	fieldCountry:    {"country", "countrycode", "countryorregion", "land", "ländercode"},
	fieldCompany:    {"company", "companyname", "organization", "organisation", "subsidiary", "legalentity", "firma", "unternehmen", "gesellschaft"},
	fieldDivision:   {"division", "businessunit", "sparte", "geschäftsbereich"},
	fieldCostCenter: {"costcenter", "costcentre", "kostenstelle"},
	fieldLanguage:   {"language", "preferredlanguage", "locale", "sprache"},
	fieldTimeZone:   {"timezone", "zoneinfo", "zeitzone"},
}

// Fields are all that a column of this organization can fill.
func Fields(defs *store.Definitions) []Field {
	list := slices.Clone(ownFields)
	for _, s := range defs.Of(store.UserResource) {
		for _, a := range s.Attributes {
			if a.Type == "complex" || a.Type == "binary" || a.Mutability == "readOnly" {
				continue
			}
			list = append(list, Field{Name: s.URN + ":" + a.Name, Label: a.Name + " (" + cmp.Or(s.Name, s.URN) + ")", attr: a, urn: s.URN})
		}
	}
	return list
}

// secret tells that nobody is shown the values.
func (f Field) secret() bool { return f.urn != "" && f.attr.Secret() }

// shown is a value as previews have it.
func (f Field) shown(value string) string {
	if value != "" && f.secret() {
		return "(not shown)"
	}
	return clip(value, maxText)
}

// guessed maps each column to the field whose name it bears, "" where there is none. A
// field is filled by the first of its columns.
func guessed(header []string, fields []Field) []string {
	columns := make([]string, len(header))
	for i, cell := range header {
		if name := fieldOf(cell, fields); name != "" && !slices.Contains(columns, name) {
			columns[i] = name
		}
	}
	return columns
}

func fieldOf(cell string, fields []Field) string {
	whole := letters(cell)
	if i := strings.IndexAny(cell, "[("); i > 0 { // Google's "[Required]"
		cell = cell[:i]
	}
	key := letters(cell)
	for name, list := range spellings {
		if slices.Contains(list, key) {
			return name
		}
	}
	for _, f := range fields {
		if f.urn != "" && (whole == letters(f.Name) || key == letters(f.attr.Name) || whole == letters(f.Label)) {
			return f.Name
		}
	}
	return ""
}

func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, s)
}
