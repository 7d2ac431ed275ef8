package sso

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/muster-id/muster/internal/fault"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestEgressKeepsTenantsOutOfOurNetwork(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("fine")) })
	mux.HandleFunc("/full", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, egressMaxBytes)) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, egressMaxBytes+1)) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/teapot", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte("<script>secret of the inner network</script>"))
	})
	plain := httptest.NewServer(mux)
	t.Cleanup(plain.Close)
	tls := httptest.NewTLSServer(mux)
	t.Cleanup(tls.Close)
	open, closed := newEgress(loopback), newEgress(nil)
	for name, c := range map[string]struct {
		client *http.Client
		url    string
		good   bool
	}{
		"allowed network":             {open, plain.URL + "/ok", true},
		"redirect on the same host":   {open, plain.URL + "/here", true},
		"just within the limit":       {open, plain.URL + "/full", true},
		"too long":                    {open, plain.URL + "/long", false},
		"redirect to another host":    {open, plain.URL + "/away", false},
		"redirect for ever":           {open, plain.URL + "/loop", false},
		"an error status":             {open, plain.URL + "/teapot", false},
		"loopback over http":          {closed, plain.URL + "/ok", false},
		"loopback over https":         {closed, tls.URL + "/ok", false},
		"loopback by name":            {closed, "https://localhost:1/", false},
		"metadata service":            {closed, "https://169.254.169.254/latest/meta-data", false},
		"loopback as mapped IPv6":     {closed, "https://[::ffff:127.0.0.1]/", false},
		"another scheme":              {open, "file:///etc/passwd", false},
		"plain http outside the list": {newEgress([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}), plain.URL + "/ok", false},
	} {
		body, _, err := fetch(t.Context(), c.client, "test page", c.url)
		if (err == nil) != c.good {
			t.Errorf("%s: %d bytes, %v; want good = %v", name, len(body), err, c.good)
		}
		if err != nil && fault.Public(err) == "" {
			t.Errorf("%s: %v has no sentence to show", name, err)
		}
	}
	_, _, err := fetch(t.Context(), closed, "test page", plain.URL+"/ok")
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("fault %v", err)
	}
}
