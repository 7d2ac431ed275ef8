package main

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// visitor is a browser without pictures: it keeps cookies, follows redirects and
// posts the forms that pages hold, wherever they lead.
type visitor struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	status int
	page   string
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, client: &http.Client{Jar: jar}}
}

func (v *visitor) took(res *http.Response, err error) *visitor {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.at, v.status, v.page = res.Request.URL, res.StatusCode, string(text)
	return v
}

func (v *visitor) open(address string) *visitor {
	v.t.Helper()
	return v.took(v.client.Get(address))
}

var (
	formTag   = regexp.MustCompile(`(?s)<form[^>]*\baction="([^"]*)"[^>]*>(.*?)</form>`)
	hiddenTag = regexp.MustCompile(`<input[^>]*\btype="hidden"[^>]*>`)
	attribute = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
)

// submit posts the page's form that leads to action (any part of it), its hidden
// fields and the given ones: name, value, name, value.
func (v *visitor) submit(action string, fields ...string) *visitor {
	v.t.Helper()
	for _, form := range formTag.FindAllStringSubmatch(v.page, -1) {
		to := html.UnescapeString(form[1])
		if !strings.Contains(to, action) {
			continue
		}
		values := url.Values{}
		for _, input := range hiddenTag.FindAllString(form[2], -1) {
			pair := map[string]string{}
			for _, a := range attribute.FindAllStringSubmatch(input, -1) {
				pair[a[1]] = html.UnescapeString(a[2])
			}
			values.Add(pair["name"], pair["value"])
		}
		for i := 0; i+1 < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		target, err := v.at.Parse(to)
		if err != nil {
			v.t.Fatal(err)
		}
		r, err := http.NewRequest("POST", target.String(), strings.NewReader(values.Encode()))
		if err != nil {
			v.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.at.Scheme+"://"+v.at.Host)
		if v.at.Host == target.Host {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		} else {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		return v.took(v.client.Do(r))
	}
	v.t.Fatalf("%s (%d) has no form to %q:\n%s", v.at, v.status, action, v.page)
	return nil
}

// me asks who the browser is signed in as.
func (v *visitor) me(base string) (int, map[string]any) {
	v.t.Helper()
	v.open(base + "/api/v1/me")
	var m map[string]any
	if err := json.Unmarshal([]byte(v.page), &m); err != nil {
		v.t.Fatalf("/api/v1/me: %v\n%s", err, v.page)
	}
	return v.status, m
}
