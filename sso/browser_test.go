package sso

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store/storetest"
)

// A real browser keeps Lax cookies back when the provider, on another site, posts
// its answer. The sign-in must work all the same, by redirect and by post.
func TestChromiumSignsInAcrossSites(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	ctx := webtest.Chromium(t)
	for name, withoutRedirect := range map[string]bool{"redirect": false, "post": true} {
		idp := ssotest.NewIDP()
		idp.Serve(t)
		// "localhost" and "127.0.0.1" are two sites.
		idp.URL = strings.Replace(idp.URL, "127.0.0.1", "localhost", 1)
		metadata := idp.Metadata()
		if withoutRedirect {
			metadata = bytes.Replace(metadata, []byte("bindings:HTTP-Redirect"), []byte("bindings:Unknown"), 1)
		}
		c := s.create(NewConnection{Protocol: "saml", Metadata: metadata})
		idp.Next(ssotest.Login{NameID: name})

		tab, closeTab := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
		err := chromedp.Do(tab)
		if err != nil {
			t.Fatal(err)
		}
		limited, cancel := context.WithTimeout(tab, time.Minute)
		err = chromedp.Do(limited, chromedp.Navigate(c.URLs.Login), chromedp.WaitReady(chromedp.CSS("input[name=SAMLResponse]")))
		if err != nil {
			t.Fatalf("%s: at the provider: %v", name, err)
		}
		where, _ := chromedp.Run(limited, chromedp.Location())
		if !strings.HasPrefix(where, idp.URL) {
			t.Fatalf("%s: at %s, want the provider's page", name, where)
		}
		if _, err := chromedp.Run(limited, chromedp.Evaluate[bool]("document.forms[0].submit(); true")); err != nil {
			t.Fatal(err)
		}
		// The account page of this test is plain text, which Chromium shows in a <pre>.
		err = chromedp.Do(limited, chromedp.WaitVisible(chromedp.CSS("pre")))
		text, _ := chromedp.Run(limited, chromedp.Evaluate[string]("location.pathname + ' ' + document.body.innerText"))
		if err != nil || !strings.HasPrefix(text, "/account signed in as ") {
			t.Errorf("%s: ended at %q (%v)", name, text, err)
		}
		cancel()
		closeTab()
	}
}

// Signing out goes from a form of ours over the provider, on another site, and back;
// the content security policy of no page on the way stops it.
func TestChromiumSignsOutAcrossSites(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	ctx := webtest.Chromium(t)
	for name, binding := range map[string]string{"redirect": crewjam.HTTPRedirectBinding, "post": crewjam.HTTPPostBinding} {
		idp := ssotest.NewIDP()
		idp.SLO = []crewjam.Endpoint{{Binding: binding}}
		idp.Serve(t)
		idp.URL = strings.Replace(idp.URL, "127.0.0.1", "localhost", 1)
		idp.SLO[0].Location = strings.Replace(idp.SLO[0].Location, "127.0.0.1", "localhost", 1)
		c := s.create(NewConnection{Protocol: "saml", Metadata: idp.Metadata()})
		idp.Next(ssotest.Login{NameID: name})
		idp.NextLogout(ssotest.LogoutAnswer{To: c.SLO})

		tab, closeTab := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
		limited, cancel := context.WithTimeout(tab, time.Minute)
		if err := chromedp.Do(tab); err != nil {
			t.Fatal(err)
		}
		err := chromedp.Do(limited, chromedp.Navigate(c.URLs.Login), chromedp.WaitReady(chromedp.CSS("input[name=SAMLResponse]")))
		if err == nil {
			_, err = chromedp.Run(limited, chromedp.Evaluate[bool]("document.forms[0].submit(); true"))
		}
		if err == nil {
			err = chromedp.Do(limited, chromedp.WaitVisible(chromedp.CSS("pre")))
		}
		if err != nil {
			t.Fatalf("%s: not signed in: %v", name, err)
		}
		// A page of ours with its own policy, and the button that every page has.
		err = chromedp.Do(limited, chromedp.Navigate(s.url+"/sso/logout/"+string(c.ID)), chromedp.WaitVisible(chromedp.CSS(`form[action="/logout"] button`)),
			chromedp.Click(chromedp.CSS(`form[action="/logout"] button`)))
		if err != nil {
			t.Fatalf("%s: the button: %v", name, err)
		}
		text := ""
		for limited.Err() == nil && !strings.Contains(text, leaveWords["done"].String()) {
			text, _ = chromedp.Run(limited, chromedp.Evaluate[string]("location.pathname + ' ' + document.body.innerText"))
		}
		if !strings.Contains(text, leaveWords["done"].String()) || !strings.HasPrefix(text, "/sso/logout/") {
			t.Errorf("%s: ended at %q", name, text)
		}
		cancel()
		closeTab()
	}
}
