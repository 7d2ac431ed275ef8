package console

import (
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/web"
)

type orgSettingsPage struct {
	Org   web.Org
	Pages []SettingsPage
}

// orgSettings leads to each group of settings.
func (c *Console) orgSettings(w http.ResponseWriter, r *http.Request) error {
	p := orgSettingsPage{Org: web.OrgOf(r)}
	for _, page := range c.opt.SettingsPages {
		page.Path = strings.ReplaceAll(page.Path, "{org}", p.Org.Slug)
		p.Pages = append(p.Pages, page)
	}
	return pages.Write(w, r, http.StatusOK, "orgsettings", p)
}
