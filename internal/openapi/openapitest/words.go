package openapitest

import "github.com/muster-id/muster/internal/fault"

// group is operations that belong together: those whose path begins with one of these,
// the longest beginning counts.
type group struct {
	name, says string
	paths      []string
}

var groups = []group{
	{"Who asks", "The person of the session, or the key.", []string{"/me"}},
	{"People", "The list of people of an organization, and what is done to many of them at once.", []string{"/users"}},
	{"When people leave and come back", "Deactivating, deleting, restoring, and what is planned.", []string{"/users/{user}/deactivate", "/users/{user}/reactivate", "/users/{user}/restore", "/users/{user}/detach", "/users/deleted", "/planned", "DELETE /users/{user}"}},
	{"Invitations", "One-time links for people who are to join.", []string{"/invitations", "/invitation-lists", "/settings/invitations"}},
	{"Imports", "People from CSV files, once or on a schedule, and lists of people as files.", []string{"/imports", "/import-feeds", "/export"}},
	{"Teams", "Teams of the organization, and the groups of its directories.", []string{"/teams"}},
	{"Roles and permissions", "What people may do, and why.", []string{"/roles", "/permissions", "/users/{user}/roles", "/settings/defaults"}},
	{"Passwords and second factors", "Passwords, passkeys and authenticator apps.", []string{"/users/{user}/password-reset", "/settings/passwords", "/users/{user}/factors"}},
	{"How people sign in", "The policy, and accounts for emergencies.", []string{"/policy", "/break-glass"}},
	{"Connections", "SAML and OpenID Connect identity providers.", []string{"/connections", "/setup-links", "/moves", "/users/{user}/identities", "/access-requests"}},
	{"Mail domains", "Domains that the organization has proved.", []string{"/domains"}},
	{"Directories", "SCIM clients: their settings, tokens, OAuth clients, roles and log.", []string{"/directories"}},
	{"Activity and sign-ins", "What happened, by whom, and why somebody was refused.", []string{"/activity", "/app-activity", "/users/{user}/app-activity", "/signins", "/operator/signins"}},
	{"Access reviews", "Who has what, looked at and decided on.", []string{"/reviews"}},
	{"Checklists", "Tasks for people who join and leave.", []string{"/checklists", "/users/{user}/checklists"}},
	{"Records of applications", "What applications know, and who is linked to it.", []string{"/records", "/users/{user}/records"}},
	{"Jobs", "What was ordered for many at once, its progress and undo.", []string{"/jobs"}},
	{"Settings", "Seats, schemas, language and user names of an organization.", []string{"/settings", "/seats", "/schemas"}},
	{"This document", "What you are reading, as OpenAPI.", []string{"/openapi.json"}},
	{"The server", "For operators: organizations, operators and their keys, mail, the doctor.", []string{"/organizations", "/operators", "/operator-keys", "/mail", "/doctor"}},
}

// refusal is how a kind of fault is called in the document.
type refusal struct {
	kind fault.Kind
	name string
	says string
}

var refusals = []refusal{
	{fault.Invalid, "Invalid", "What was sent is wrong; `field` says where, `detail` what to send instead."},
	{fault.SignIn, "SignIn", "There is no key or session, or it is not valid any more."},
	{fault.Denied, "Denied", "The role does not allow this, or the session must be proved again."},
	{fault.NotFound, "NotFound", "There is no such thing, or it is not yours."},
	{fault.Conflict, "Conflict", "It clashes with what is there; `field` says with what. `version` means that somebody else was faster."},
	{fault.Expired, "Expired", "It was valid once and is too old, used or withdrawn."},
	{fault.TooMany, "TooMany", "Too often; try again after `Retry-After` seconds."},
	{fault.Unavailable, "Unavailable", "Something that is needed does not answer; try again after `Retry-After` seconds."},
}

func number(n int) *int { return &n }

func oneOf(values ...string) *schema { return &schema{kind: "string", enum: values} }

func text() *schema { return &schema{kind: "string"} }

func boolean() *schema { return &schema{kind: "boolean"} }

func limit(most, otherwise int) *schema {
	return &schema{kind: "integer", minimum: number(1), maximum: number(most), otherwise: otherwise}
}

// parameter is what the code cannot tell of a name in the query.
type parameter struct {
	of       *schema
	says     string
	repeated bool // may stand there several times
}

// parameters by name, and by "METHOD /path name" where an operation means something else.
var parameters = map[string]parameter{
	"q":        {text(), "Words that are looked for.", false},
	"cursor":   {text(), "`next` of the page before.", false},
	"after":    {text(), "`next` of the page before.", false},
	"before":   {text(), "`next` of the page before.", false},
	"limit":    {limit(200, 50), "How many at most.", false},
	"since":    {text(), "A day, a time, or how long ago: `2026-11-30`, `2026-11-30T18:00:00Z`, `24h`.", false},
	"until":    {text(), "A day, a time, or how long ago: `2026-11-30`, `2026-11-30T18:00:00Z`, `24h`.", false},
	"preview":  {boolean(), "Only tell what would happen.", false},
	"confirm":  {boolean(), "Accept that values are lost.", false},
	"indirect": {boolean(), "Also who belongs by a group in it.", false},
	"person":   {text(), "An id, a user name or an address.", false},

	"DELETE /users/{user} reason":                     {text(), "Why, as one of the reasons.", false},
	"DELETE /users/{user} why":                        {text(), "Why, in words.", false},
	"DELETE /users/{user} successor":                  {text(), "Id of the person who takes over.", false},
	"GET /planned state":                              {oneOf("planned", "done", "skipped", "cancelled"), "Only changes in this state.", false},
	"GET /records free":                               {boolean(), "Only records to which nobody is linked.", false},
	"GET /records/{kind} free":                        {boolean(), "Only records to which nobody is linked.", false},
	"DELETE /roles/{role} to":                         {text(), "The role that people get in its place; `none` for nothing.", false},
	"GET /checklists state":                           {oneOf("open", "done"), "Only tasks in this state.", false},
	"GET /checklists overdue":                         {boolean(), "Only tasks that are late.", false},
	"GET /checklists assignee":                        {text(), "Id of who has to do it.", false},
	"GET /activity person":                            {text(), "About whom: an id, a user name or an address.", false},
	"GET /activity by":                                {text(), "By whom: an id, a user name or an address.", false},
	"GET /activity action":                            {text(), "As `user.create`, or its beginning: `user`.", false},
	"GET /activity format":                            {oneOf("csv", "jsonl"), "All of it as a file.", false},
	"GET /users status":                               {oneOf("invited", "active", "deactivated", "deleted"), "Only people in this state.", true},
	"GET /users source":                               {oneOf("invite", "csv", "jit", "scim", "api"), "Only people who came this way.", true},
	"GET /users directory":                            {text(), "Id of the directory that manages them; `none`: nobody does.", true},
	"GET /users role":                                 {text(), "A role.", false},
	"GET /users team":                                 {text(), "Id of a team.", false},
	"GET /users signin":                               {oneOf("1d", "7d", "30d", "90d", "not30d", "not90d", "never"), "When they signed in last.", false},
	"GET /users created":                              {oneOf("1d", "7d", "30d", "90d", "not365d"), "When they came.", false},
	"GET /users license":                              {text(), "Id of a license.", false},
	"GET /users invitation":                           {oneOf("pending", "saved", "expired", "bounced"), "The state of their invitation.", false},
	"GET /users trait":                                {oneOf("locked", "planned", "linked", "unlinked", "nofactor"), "What else is so; several: all of them.", true},
	"GET /users sort":                                 {text(), "`name`, `email`, `created`, `signin`, `status` or `source`, behind `-` the other way round.", false},
	"GET /users after":                                {text(), "`next` of the page before.", false},
	"GET /users before":                               {text(), "`previous` of the page behind.", false},
	"GET /users columns":                              {text(), "Columns of the page in the console; the answer has all fields.", false},
	"POST /imports name":                              {text(), "The name of the file.", false},
	"POST /imports encoding":                          {text(), "The encoding of the file.", false},
	"POST /imports delimiter":                         {text(), "What stands between columns.", false},
	"POST /imports preview":                           {boolean(), "`false` reads no lines yet.", false},
	"POST /imports key":                               {text(), "The column by which people are found.", false},
	"POST /imports new":                               {text(), "What happens to new people: `invite`, `active` and so on.", false},
	"POST /imports missing":                           {text(), "What happens to people who are not in the file: `keep`, `deactivate`.", false},
	"POST /imports max_gone":                          {&schema{kind: "integer", minimum: number(1), maximum: number(100)}, "How many percent of the people may end by it.", false},
	"GET /imports/{import}/rows action":               {oneOf("create", "update", "unchanged", "error", "managed", "seats", "deactivate", "missing"), "Only lines of which this becomes.", false},
	"GET /imports/{import}/rows after":                {&schema{kind: "integer"}, "`next` of the page before.", false},
	"GET /export/{file} format":                       {oneOf("csv", "jsonl"), "The file's ending says it.", false},
	"GET /export/{file} column":                       {text(), "Columns, with commas between; all when none is named.", true},
	"GET /export/{file} status":                       {oneOf("invited", "active", "deactivated", "deleted"), "Only people in this state.", true},
	"GET /invitations state":                          {oneOf("pending", "saved", "bounced", "expired", "accepted", "cancelled", "unneeded"), "Only invitations in this state.", false},
	"GET /invitations asked":                          {boolean(), "Only those whose person wants a new link.", false},
	"GET /invitations limit":                          {limit(500, 50), "How many at most.", false},
	"GET /invitation-lists/{list} show":               {oneOf("left"), "Only those who were not invited.", false},
	"GET /invitation-lists/{list} after":              {&schema{kind: "integer", minimum: number(1), maximum: number(5000)}, "`next` of the page before.", false},
	"GET /invitation-lists/{list} limit":              {limit(1000, 500), "How many at most.", false},
	"GET /jobs/{job}/results result":                  {oneOf("done", "skipped", "failed"), "Only these results.", false},
	"GET /jobs/{job}/results after":                   {&schema{kind: "integer", minimum: number(0)}, "`next` of the page before.", false},
	"GET /jobs/{job}/results before":                  {&schema{kind: "integer", minimum: number(0)}, "Not read here: the answer goes forwards.", false},
	"GET /organizations state":                        {oneOf("all", "suspended"), "Only organizations in this state.", false},
	"GET /mail state":                                 {oneOf("queued", "failed"), "Only messages in this state.", false},
	"GET /reviews/{review}/rows decision":             {oneOf("open", "confirmed", "removed", "source", "gone"), "Only rows with this decision.", false},
	"GET /reviews/{review}/rows role":                 {text(), "Only this role.", false},
	"GET /reviews/{review}/rows team":                 {text(), "Only the team of this id.", false},
	"GET /reviews/{review}/rows person":               {text(), "Words of a name or an address.", false},
	"GET /reviews/{review}/rows idle":                 {boolean(), "Only people who have not signed in for long.", false},
	"GET /reviews/{review}/rows after":                {&schema{kind: "integer"}, "`next` of the page before.", false},
	"GET /reviews/{review}/rows before":               {&schema{kind: "integer"}, "The number of a row, to go backwards.", false},
	"GET /directories/{directory}/log limit":          {limit(500, 50), "How many at most.", false},
	"GET /directories/{directory}/log operation":      {text(), "Method and resource: `PATCH Users`, `POST Bulk`.", false},
	"GET /directories/{directory}/log target":         {text(), "An id, a userName, an externalId, or the start of a name.", false},
	"GET /directories/{directory}/log status":         {text(), "The status of the answer.", false},
	"GET /directories/{directory}/log refused":        {boolean(), "Only requests that were refused.", false},
	"GET /directories/{directory}/log request":        {text(), "The `X-Request-Id`.", false},
	"GET /directories/{directory}/log q":              {text(), "A text anywhere in the entry.", false},
	"DELETE /directories/{directory}/roles attribute": {text(), "`roles` or `entitlements`.", false},
	"DELETE /directories/{directory}/roles value":     {text(), "The value that the directory sends.", false},
	"GET /access-requests state":                      {text(), "Only requests in this state.", false},
	"GET /signins reference":                          {text(), "What the person was shown.", false},
	"GET /signins connection":                         {text(), "Id of a connection.", false},
	"GET /signins result":                             {oneOf("in", "refused"), "How it ended.", false},
	"GET /signins check":                              {text(), "The check that failed.", false},
}

// inPath are the parts of paths that are no ids of ours.
var inPath = map[string]parameter{
	"slug":      {text(), "The organization's short name.", false},
	"urn":       {text(), "The schema's URN.", false},
	"kind":      {text(), "A kind of records, as the application calls it.", false},
	"id":        {text(), "The record's id, as the application calls it.", false},
	"role":      {text(), "The role's name.", false},
	"member":    {text(), "Id, user name or address of a person, or id of a group.", false},
	"message":   {text(), "The message's id; `failed`: all that were given up.", false},
	"reference": {text(), "What the person was shown.", false},
	"signin":    {text(), "Id or reference of the sign-in.", false},
	"file":      {text(), "The file's name.", false},
	"client":    {text(), "The client's id.", false},
	"entry":     {text(), "The entry's id.", false},

	"GET /checklists/templates/{list} list":    {oneOf("joiner", "leaver"), "Which list.", false},
	"PUT /checklists/templates/{list} list":    {oneOf("joiner", "leaver"), "Which list.", false},
	"GET /reviews/{review}/export/{file} file": {oneOf("review.csv", "review.json"), "The file's name.", false},
	"GET /export/{file} file":                  {oneOf("people.csv", "people.jsonl"), "The file's name.", false},
}

const aboutTheAPI = `Programs ask with a key, browsers that are signed in with their session; both may what their roles allow.

- A key belongs to an organization and holds one role there. An operator's key says which organization is meant: ` + "`?org=SLUG`" + `.
- A parameter that an operation does not know is refused, and so are one that is there twice and counts once, and a boolean that is neither true nor false.
- A body is one JSON object. A field that is not known is refused, and so is a body without one that is required.
- A list has ` + "`next`" + `, which goes into the parameter that its operation names; empty or absent, that is all.
- ` + "`version`" + ` in a body is what was read: 409 when somebody else changed it since. Without it the change is made in any case.
- Refusals are ` + "`application/problem+json`" + ` (RFC 9457).
- Times are RFC 3339 in UTC. An id of another organization is 404.
- What an answer holds may grow: read past fields that you do not know.`
