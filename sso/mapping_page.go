package sso

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// mountMapping adds the pages and the REST API of the mapping.
func (d *Door) mountMapping(m *web.Mux) {
	const page, api = "/console/{org}/connections/{connection}/mapping", "/api/v1/connections/{connection}/mapping"
	m.Console(access.Configure, "GET "+page, d.showMapping)
	m.ConsoleFresh(access.Configure, "POST "+page, d.addRule)
	m.Console(access.Configure, "POST "+page+"/remove", d.removeRule)
	m.ConsoleFresh(access.Configure, "POST "+page+"/preset", d.addSuggested)
	m.Console(access.Configure, "POST "+page+"/preview", d.previewMapping)
	m.API(access.Configure, "GET "+api, d.apiMapping)                 // Get what a sign-in fills and gives
	m.APIFresh(access.Configure, "POST "+api, d.apiSetRule)           // Add a rule to what a sign-in fills and gives
	m.API(access.Configure, "PUT "+api+"/{rule}", d.apiSetRule)       // Replace a rule
	m.API(access.Configure, "DELETE "+api+"/{rule}", d.apiRemoveRule) // Remove a rule
	m.API(access.Configure, "POST "+api+"/preview", d.apiPreview)     // Preview what a sign-in would do
	m.Console(access.EditUsers, "POST /console/{org}/users/{user}/lock", d.lockAttribute)
}

// mappingPage is the table with the forms that add to it.
type mappingPage struct {
	Name, Path string
	Form       web.Form
	Attributes []ruleLine
	Givers     []ruleLine
	Suggested  []ruleLine
	Targets    []web.Option
	Roles      []web.Option
	Matches    []web.Option
	Outcome    *Outcome
}

type ruleLine struct {
	ID             RuleID
	To, From, More string
	Preset         bool
}

func lineOfRule(req *http.Request, r Rule, targets []Target, teams, roles map[string]string) ruleLine {
	l := ruleLine{ID: r.ID, To: r.To, From: web.T(req, "%s", r.Said()), Preset: r.Preset}
	var more []string
	switch r.Kind {
	case RuleAttribute:
		if t, ok := targetNamed(targets, r.To); ok {
			if l.To = t.Label; !t.own {
				l.To = web.T(req, t.Label)
			}
			if t.First {
				more = append(more, web.T(req, "only when the account is made"))
			}
		}
		if r.Default != "" {
			more = append(more, web.T(req, "else %q", r.Default))
		}
		if r.Trim {
			more = append(more, web.T(req, "spaces cut"))
		}
		if r.Lower {
			more = append(more, web.T(req, "lower case"))
		}
	case RuleTeam:
		switch {
		case r.To == "" && r.Match == MatchPrefix:
			l.To = web.T(req, "Team called like the rest")
		case r.To == "":
			l.To = web.T(req, "Team of that name")
		default:
			l.To = web.T(req, "Team %s", orElse(teams[r.To], r.To))
		}
		if r.Create {
			more = append(more, web.T(req, "made when there is none"))
		}
	case RuleRole:
		l.To = web.T(req, "Role %s", orElse(roles[r.To], r.To))
	}
	l.More = strings.Join(more, ", ")
	return l
}

func (d *Door) showMapping(w http.ResponseWriter, r *http.Request) error {
	return d.mappingForm(w, r, http.StatusOK, web.Form{}, nil)
}

func (d *Door) mappingForm(w http.ResponseWriter, r *http.Request, status int, f web.Form, out *Outcome) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	m, err := d.Mapping(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	p := mappingPage{Name: m.Connection.Name, Path: lineOf(web.OrgOf(r).Slug, m.Connection).Path, Form: f, Outcome: out,
		Matches: []web.Option{{Value: MatchIs, Label: "is"}, {Value: MatchPrefix, Label: "begins with"}, {Value: MatchAny, Label: "is anything"}}}
	teams, labels := map[string]string{}, map[string]string{}
	err = d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		names, err := tx.TeamNames()
		for _, t := range names {
			teams[string(t.ID)] = t.Name
		}
		if err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		for _, role := range roles {
			p.Roles = append(p.Roles, web.Option{Value: role.ID, Label: role.Name})
			labels[role.ID] = role.Name
		}
		slices.Reverse(p.Roles) // the weakest first: nobody becomes an admin by a slip
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range m.Targets {
		p.Targets = append(p.Targets, web.Option{Value: t.Name, Label: t.Label})
	}
	for _, rule := range m.Rules {
		line := lineOfRule(r, rule, m.Targets, teams, labels)
		if rule.Kind == RuleAttribute {
			p.Attributes = append(p.Attributes, line)
		} else {
			p.Givers = append(p.Givers, line)
		}
	}
	for _, rule := range m.Suggested {
		p.Suggested = append(p.Suggested, lineOfRule(r, rule, m.Targets, teams, labels))
	}
	return pages.Write(w, r, status, "mapping", p)
}

// ruleOf reads the form of one kind of row, whose fields begin with the kind.
func ruleOf(f web.Form) Rule {
	kind := f.Get("kind")
	get := func(name string) string { return f.Get(kind + "_" + name) }
	return Rule{Kind: kind, From: splitList(get("from")), To: get("to"), Fixed: get("fixed"), Default: get("default"), All: get("all") != "",
		Lower: get("lower") != "", Trim: get("trim") != "", Match: get("match"), Value: get("value"), Create: get("create") != ""}
}

func (d *Door) addRule(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if rule := ruleOf(f); rule.Kind == RuleRole && rule.To == access.Admin && rule.Value != "" {
		if asked, err := web.SureAdmin(w, r, web.T(r, "everybody who signs in with %s", rule.Said())); asked || err != nil {
			return err
		}
	}
	return d.changeMapping(w, r, func(id ConnectionID, f web.Form) (Remapping, error) {
		rule := ruleOf(f)
		done, err := d.SetRule(r.Context(), web.Actor(r), id, rule)
		if name := fault.Field(err); name != "" && fault.Is(err, fault.Invalid) { // the field of this kind's form
			err = fault.Invalid.Over(rule.Kind+"_"+name, err)
		}
		return done, err
	})
}

func (d *Door) removeRule(w http.ResponseWriter, r *http.Request) error {
	return d.changeMapping(w, r, func(id ConnectionID, f web.Form) (Remapping, error) {
		rule, err := store.ParseID[Rule](f.Get("rule"))
		if err != nil {
			return Remapping{}, err
		}
		return d.RemoveRule(r.Context(), web.Actor(r), id, rule)
	})
}

// addSuggested adds what else the vendor sends.
func (d *Door) addSuggested(w http.ResponseWriter, r *http.Request) error {
	return d.changeMapping(w, r, func(id ConnectionID, _ web.Form) (done Remapping, err error) {
		m, err := d.Mapping(r.Context(), web.Actor(r), id)
		for _, rule := range m.Suggested {
			if err == nil {
				done, err = d.SetRule(r.Context(), web.Actor(r), id, rule)
			}
		}
		return done, err
	})
}

func (d *Door) changeMapping(w http.ResponseWriter, r *http.Request, change func(ConnectionID, web.Form) (Remapping, error)) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	done, err := change(id, f)
	if f.Take(err) {
		return d.mappingForm(w, r, web.Status(err), f, nil)
	}
	if err != nil {
		return err
	}
	said := web.T(r, "Saved. People get it with their next sign-in.")
	if done.Roles+done.Teams > 0 {
		said = web.T(r, "Saved. Taken at once: %s, %s.", web.SayN(done.Roles, "%d role", "%d roles"), web.SayN(done.Teams, "%d membership of a team", "%d memberships of teams"))
	}
	web.Flash(w, said)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/"+string(id)+"/mapping", http.StatusSeeOther)
	return nil
}

func (d *Door) previewMapping(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	var out Outcome
	attributes, err := readAttributes(f.Get("attributes"))
	if err == nil {
		out, err = d.PreviewAttributes(r.Context(), web.Actor(r), id, attributes)
	}
	if f.Take(err) {
		return d.mappingForm(w, r, web.Status(err), f, nil)
	}
	if err != nil {
		return err
	}
	return d.mappingForm(w, r, http.StatusOK, f, &out)
}

const maxPasted = 64 << 10

// readAttributes reads what somebody pasted: a JSON object (claims), or a line
// "name: value" for each value.
func readAttributes(text string) (map[string][]string, error) {
	out := map[string][]string{}
	if len(text) > maxPasted {
		return nil, fault.Invalid.On("attributes", "That is longer than %d kB.", maxPasted>>10)
	}
	if strings.HasPrefix(text, "{") {
		var claims map[string]any
		if err := json.Unmarshal([]byte(text), &claims); err != nil {
			return nil, fault.Invalid.On("attributes", "That begins like JSON and is none: %v.", err)
		}
		for name, v := range claims {
			list, many := v.([]any)
			if !many {
				list = []any{v}
			}
			out[name] = []string{}
			for _, e := range list {
				if s, ok := e.(string); ok {
					out[name] = append(out[name], s)
				} else if raw, err := json.Marshal(e); err == nil && e != nil {
					out[name] = append(out[name], string(raw))
				}
			}
		}
		return out, nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		at := strings.LastIndex(line, ": ")
		if at < 0 {
			return nil, fault.Invalid.On("attributes", "%q is no attribute. Write each on a line of its own, as name: value.", answer.Clip(line, 60))
		}
		name := strings.TrimSpace(line[:at])
		out[name] = append(out[name], strings.TrimSpace(line[at+2:]))
	}
	if len(out) == 0 {
		return nil, fault.Invalid.On("attributes", "Paste what the provider sends: a line such as email: ada@example.com for each value.")
	}
	return out, nil
}

// lockAttribute keeps sign-ins from changing an attribute of a person, or lets them.
func (d *Door) lockAttribute(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	lock := f.Get("lock") == "true"
	err = d.opts.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return Lock(tx, id, f.Get("attribute"), lock) })
	if err != nil {
		return err
	}
	said := web.T(r, "Sign-ins fill it again.")
	if lock {
		said = web.T(r, "Sign-ins leave it as it is now.")
	}
	web.Flash(w, said)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/users/"+string(id), http.StatusSeeOther)
	return nil
}

type mappingInfo struct {
	Rules     []Rule `json:"rules"`
	Suggested []Rule `json:"suggested"`
}

// Info is the table in JSON.
func (m Mapping) Info() any {
	return mappingInfo{append([]Rule{}, m.Rules...), append([]Rule{}, m.Suggested...)}
}

// Info is what a change did, in JSON.
func (d Remapping) Info() any {
	return struct {
		Rule
		Roles int `json:"roles_taken"`
		Teams int `json:"teams_taken"`
	}{d.Rule, d.Roles, d.Teams}
}

func (d *Door) apiMapping(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	m, err := d.Mapping(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, m.Info())
}

func (d *Door) apiSetRule(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	var rule Rule
	if err := web.ReadJSON(r, &rule, "kind"); err != nil {
		return err
	}
	status := http.StatusCreated
	if rule.ID = ""; r.Method == http.MethodPut {
		status = http.StatusOK
		if rule.ID, err = store.ParseID[Rule](r.PathValue("rule")); err != nil {
			return err
		}
	}
	done, err := d.SetRule(r.Context(), web.Actor(r), id, rule)
	if err != nil {
		return err
	}
	return web.JSON(w, status, done.Info())
}

func (d *Door) apiRemoveRule(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	rule, err := store.ParseID[Rule](r.PathValue("rule"))
	if err != nil {
		return err
	}
	done, err := d.RemoveRule(r.Context(), web.Actor(r), id, rule)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, done.Info())
}

func (d *Door) apiPreview(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	var in struct {
		Attributes map[string][]string `json:"attributes"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	out, err := d.PreviewAttributes(r.Context(), web.Actor(r), id, in.Attributes)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out.Info())
}

// Info is the outcome with the account, in JSON.
func (o Outcome) Info() any {
	type account struct {
		ID       store.UserID `json:"user_id,omitempty"`
		UserName string       `json:"user_name,omitempty"`
	}
	shown := struct {
		account
		Outcome
	}{account{o.User.ID, o.User.UserName}, o}
	if o.Created { // the id is gone with the preview
		shown.ID = ""
	}
	return shown
}
