package sso

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// settingsPage is the form of all settings of a connection.
type settingsPage struct {
	Name, Path string
	Form       web.Form
	Groups     []settingsGroup
	Notes      []web.Said
}

type settingsGroup struct {
	Name   string
	Inputs []settingInput
}

// settingInput is one control; Kind says which template draws it.
type settingInput struct {
	web.Field
	Select bool
}

func (d *Door) showSettings(w http.ResponseWriter, r *http.Request) error {
	return d.settingsForm(w, r, http.StatusOK, web.Form{})
}

func (d *Door) settingsForm(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	c, err := d.Connection(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	p := settingsPage{Name: c.Name, Path: lineOf(web.OrgOf(r).Slug, c).Path, Form: f, Notes: c.Notes(d.opts.DB.Now())}
	p.Form.Default("version", strconv.FormatInt(c.Version(), 10))
	for _, s := range Settings(c.Protocol) {
		if s.Kind != KindSecret {
			p.Form.Default(s.Key, s.Text(c))
		}
		at := slices.IndexFunc(p.Groups, func(g settingsGroup) bool { return g.Name == s.Group })
		if at < 0 {
			at, p.Groups = len(p.Groups), append(p.Groups, settingsGroup{Name: s.Group})
		}
		p.Groups[at].Inputs = append(p.Groups[at].Inputs, inputOf(r, p.Form, s, c))
	}
	return pages.Write(w, r, status, "settings", p)
}

// inputOf is the control for a setting.
func inputOf(r *http.Request, f web.Form, s Setting, c Connection) settingInput {
	attrs := []string{"help=" + s.Help, "autocomplete=off"}
	if s.Required || s.Default != "" || s.Kind == KindSwitch {
		attrs = append(attrs, "required")
	}
	var options []web.Option
	switch s.Kind {
	case KindChoice:
		for _, v := range s.Choices {
			options = append(options, web.Option{Value: v.Value, Label: v.Label})
		}
	case KindSwitch:
		options = []web.Option{{Value: "true", Label: "Yes"}, {Value: "false", Label: "No"}}
	case KindNumber:
		attrs = append(attrs, "inputmode=numeric", "maxlength=9")
	case KindDate:
		attrs = append(attrs, "type=date")
	case KindURL:
		attrs = append(attrs, "type=url", "maxlength="+strconv.Itoa(maxSettingText))
	case KindList:
		attrs = append(attrs, "type=textarea", "maxlength="+strconv.Itoa(maxSettingText), "help="+web.T(r, s.Help)+" "+web.T(r, "One on each line."))
	case KindSecret:
		attrs = append(attrs, "type=password", "autocomplete=new-password", "help="+web.T(r, s.Help)+" "+secretHelp(r, s.Text(c) != ""))
	default:
		attrs = append(attrs, "maxlength="+strconv.Itoa(maxSettingText))
	}
	if options != nil {
		return settingInput{Field: f.Select(s.Key, s.Label, options, attrs...), Select: true}
	}
	return settingInput{Field: f.Input(s.Key, s.Label, attrs...)}
}

func secretHelp(r *http.Request, set bool) string {
	if set {
		return web.T(r, "One is stored; leave this empty to keep it.")
	}
	return web.T(r, "None is stored.")
}

// changeSettings takes the whole form, as it was shown: if somebody else changed the
// connection meanwhile it is shown again, with what was typed.
func (d *Door) changeSettings(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		version = 1 // of no connection: whoever sends the form says what they saw
	}
	ch := Change{Version: version, Set: map[string]string{}}
	for _, s := range Settings("") {
		if _, sent := f.Values[s.Key]; sent && (s.Kind != KindSecret || f.Get(s.Key) != "") {
			ch.Set[s.Key] = f.Get(s.Key)
		}
	}
	_, err = d.UpdateConnection(r.Context(), web.Actor(r), id, ch)
	if f.Take(err) {
		return d.settingsForm(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, "Saved. It holds for every sign-in that starts from now on.")
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/"+string(id)+"/settings", http.StatusSeeOther)
	return nil
}
