package sso

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/guides"
	"github.com/muster-id/muster/sso/saml"
)

// vendorsPage is the first step: whose identity provider is it?
type vendorsPage struct {
	Path, Up string
	Form     web.Form
	Vendors  []vendorLine
}

type vendorLine struct {
	Label string
	Ways  []vendorWay
}

type vendorWay struct {
	Value, Label, Of string // Of names the vendor, for whoever hears the buttons only
	Recommended      bool
}

func vendorLines() (list []vendorLine) {
	for _, v := range guides.Vendors() {
		line := vendorLine{Label: v.Label}
		protocols := guides.Protocols(v.Name)
		for i, p := range protocols {
			line.Ways = append(line.Ways, vendorWay{Value: v.Name + " " + p, Label: protocolName(p), Of: v.Label, Recommended: i == 0 && len(protocols) > 1})
		}
		list = append(list, line)
	}
	return list
}

func (d *Door) showVendors(w http.ResponseWriter, r *http.Request) error {
	return d.vendorsPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) vendorsPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	up := "/console/" + web.OrgOf(r).Slug + "/connections"
	return pages.Write(w, r, status, "vendors", vendorsPage{Path: up + "/new", Up: up, Form: f, Vendors: vendorLines()})
}

func (d *Door) chooseVendor(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	c, err := d.draftOf(r, web.Actor(r), f)
	if f.Take(err) {
		return d.vendorsPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/"+string(c.ID)+"/setup", http.StatusSeeOther)
	return nil
}

// draftOf makes the draft that a choice of vendor and protocol asks for.
func (d *Door) draftOf(r *http.Request, actor access.Actor, f web.Form) (Connection, error) {
	vendor, protocol, _ := strings.Cut(f.Get("choice"), " ")
	if !slices.Contains(guides.Protocols(vendor), protocol) {
		return Connection{}, fault.Invalid.On("", "Choose an identity provider and a protocol from the list.")
	}
	made, err := d.CreateConnection(r.Context(), actor, NewConnection{Protocol: protocol, Vendor: vendor, Name: orElse(f.Get("name"), guides.Label(vendor))})
	return made.Connection, err
}

// providerPage is where an administrator enters what the provider gives, and looks
// at what it says before it is saved.
type providerPage struct {
	deskPage
	Form     web.Form
	SAML     bool
	Guide    guides.Guide
	Now      string   // what is set already: the entity ID or issuer
	Entities []string // of an aggregate, to choose one
	Preview  *preview
	Document string // the metadata that are looked at
	Source   string // where they came from, when it is an address
	Secret   bool   // one is stored
}

func (d *Door) showProvider(w http.ResponseWriter, r *http.Request, k desk) error {
	var f web.Form
	if k.c.Protocol == protocolOIDC {
		f.Set("issuer", k.c.Issuer)
		f.Set("client_id", k.c.Config.ClientID)
	}
	return d.providerForm(w, r, k, http.StatusOK, providerPage{Form: f})
}

func (d *Door) providerForm(w http.ResponseWriter, r *http.Request, k desk, status int, page providerPage) (err error) {
	if page.deskPage, err = d.page(r, k, "provider"); err != nil {
		return err
	}
	page.SAML, page.Now, page.Secret = k.c.Protocol == protocolSAML, k.c.Issuer, len(k.c.secret) > 0
	page.Guide, _ = guides.For(k.c.Vendor, k.c.Protocol, d.values(k.c))
	return pages.Write(w, r, status, "provider", page)
}

// maxProviderForm holds metadata twice: as it was typed, and as it is looked at.
const maxProviderForm = 4 << 20

// changeProvider looks at what was entered, or saves what was looked at.
func (d *Door) changeProvider(w http.ResponseWriter, r *http.Request, k desk) error {
	web.AllowBody(r, maxProviderForm)
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	page := providerPage{Form: f}
	if k.c.Protocol == protocolOIDC {
		err = d.lookAtIssuer(r, k, &page)
	} else {
		err = d.lookAtMetadata(r, &page)
	}
	if err == nil && f.Get("do") == "save" {
		in := Provider{Metadata: []byte(page.Document), MetadataURL: page.Source, Issuer: f.Get("issuer"), ClientID: f.Get("client_id"), ClientSecret: f.Get("client_secret")}
		if k.c, err = d.SetProvider(r.Context(), k.actor, k.c.ID, in); err == nil {
			web.Flash(w, "Saved. Now test it.")
			http.Redirect(w, r, k.base+"/tests", http.StatusSeeOther)
			return nil
		}
	}
	status := http.StatusOK
	switch {
	case fault.Is(err, fault.Unavailable): // the address that was typed does not answer
		page.Form.FailWith(orElse(fault.Field(err), "metadata_url"), err)
		status = http.StatusBadRequest
	case page.Form.Take(err):
		status = web.Status(err)
	case err != nil:
		return err
	}
	if page.Form.Bad() {
		page.Preview, page.Entities = nil, nil
	}
	return d.providerForm(w, r, k, status, page)
}

func (d *Door) lookAtIssuer(r *http.Request, k desk, page *providerPage) error {
	if bad := checkClientID(page.Form.Get("client_id")); bad != nil {
		return bad
	}
	p, err := d.previewOIDC(r.Context(), page.Form.Get("issuer"))
	page.Preview = &p
	return err
}

// lookAtMetadata finds the document among the ways to give it, lets an aggregate be
// chosen from, and reads it.
func (d *Door) lookAtMetadata(r *http.Request, page *providerPage) error {
	doc, source, err := d.document(r, page.Form)
	if err != nil {
		return err
	}
	page.Document, page.Source = string(doc), source
	names, err := saml.Entities(doc)
	if err != nil {
		return err
	}
	if entity := page.Form.Get("entity"); entity != "" {
		if doc, err = saml.Pick(doc, entity); err != nil {
			return err
		}
		page.Document = string(doc)
	} else if len(names) > 1 {
		page.Entities = names
		if page.Form.Get("do") == "save" {
			return fault.Invalid.On("entity", "Choose one of the %d identity providers in the metadata.", len(names))
		}
		return nil
	}
	p, err := d.previewSAML(doc)
	page.Preview = &p
	return err
}

// document is the metadata that a form brings: what was looked at already, or else
// one of a file, a text, an address and values by hand.
func (d *Door) document(r *http.Request, f web.Form) (doc []byte, source string, err error) {
	if seen := f.Get("document"); seen != "" {
		return []byte(seen), f.Get("source"), nil
	}
	file, err := upload(r, "file")
	if err != nil {
		return nil, "", err
	}
	hand := saml.ByHand{EntityID: f.Get("entity_id"), SSORedirect: f.Get("sso_redirect"), SSOPost: f.Get("sso_post"), SLO: f.Get("slo"), Certificates: f.Get("certificates")}
	given := 0
	for _, there := range []bool{len(file) > 0, f.Get("metadata") != "", f.Get("metadata_url") != "", hand != saml.ByHand{}} {
		if there {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, "", fault.Invalid.On("metadata_url", "Give the metadata in one way only: empty the other fields.")
	case len(file) > 0:
		return file, "", nil
	case f.Get("metadata") != "":
		return []byte(f.Get("metadata")), "", nil
	case f.Get("metadata_url") != "":
		doc, _, err = fetch(r.Context(), d.large, fault.Word("metadata"), f.Get("metadata_url"))
		if field := fault.Field(err); field == "url" {
			err = fault.Invalid.Over("metadata_url", err)
		}
		return doc, f.Get("metadata_url"), err
	case hand != saml.ByHand{}:
		doc, err = hand.Metadata()
		return doc, "", err
	}
	return nil, "", fault.Invalid.On("metadata_url", "Give the identity provider's metadata: its address, the file, the text, or the values by hand.")
}

// upload is a file of the form, nil when none was chosen.
func upload(r *http.Request, name string) ([]byte, error) {
	file, _, err := r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Invalid.Wrap(err, "The file could not be read. Choose it again.")
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxProviderForm))
}
