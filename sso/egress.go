package sso

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/oidc"
)

// Limits on every answer from an address that a tenant chose.
const (
	egressTimeout  = 10 * time.Second
	egressMaxBytes = 1 << 20
	egressMaxHops  = 3
)

// newEgress is the HTTP client for addresses that tenants choose: metadata,
// discovery, keys, token and userinfo endpoints. A URL of theirs must not become
// a way into the operator's network, so the check is made on the address that is
// dialled, after name resolution. allow lists private or loopback networks that
// may be reached all the same; those, and only those, also over plain http.
func newEgress(allow []netip.Prefix) *http.Client {
	guard := egressGuard(allow)
	listed := func(_, address string) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		for _, p := range allow {
			if p.Contains(at.Addr()) {
				return nil
			}
		}
		return errPlainHTTP
	}
	return &http.Client{
		Timeout: egressTimeout,
		Transport: &egress{
			https: guardedTransport(func(network, address string) error { return guard.Safe(network, address, nil) }),
			http:  guardedTransport(listed),
			max:   egressMaxBytes,
		},
		CheckRedirect: sameHostOnly,
	}
}

func egressGuard(allow []netip.Prefix) *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// Dial connects to a host that a tenant chose, by the same rules as requests to its URLs:
// the public internet, and the networks in allow.
func Dial(ctx context.Context, allow []netip.Prefix, address string) (net.Conn, error) {
	guard := egressGuard(allow)
	d := net.Dialer{Timeout: egressTimeout, ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
		return guard.Safe(network, address, nil)
	}}
	return d.DialContext(ctx, "tcp", address)
}

var (
	errPlainHTTP = errors.New("plain http is for networks in MUSTER_EGRESS_ALLOW only")
	errTooLong   = errors.New("the answer is too long")
	errOtherHost = errors.New("it redirects to another host")
)

// egress picks the transport by scheme and cuts every body off at max.
type egress struct {
	https, http *http.Transport
	max         int
}

// larger is the same client for longer answers, which take longer.
func larger(client *http.Client, max int, timeout time.Duration) *http.Client {
	out, transport := *client, *client.Transport.(*egress)
	transport.max = max
	out.Transport, out.Timeout = &transport, timeout
	return &out
}

func (e *egress) RoundTrip(r *http.Request) (*http.Response, error) {
	t := e.https
	switch r.URL.Scheme {
	case "https":
	case "http":
		t = e.http
	default:
		return nil, fmt.Errorf("scheme %q is not http or https", r.URL.Scheme)
	}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &cappedBody{ReadCloser: resp.Body, left: e.max}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach both transports.
func (e *egress) CloseIdleConnections() {
	e.https.CloseIdleConnections()
	e.http.CloseIdleConnections()
}

// guardedTransport has no proxy: through one, the address check would see the
// proxy's address instead of the target's.
func guardedTransport(check func(network, address string) error) *http.Transport {
	d := &net.Dialer{
		Timeout: 5 * time.Second,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			return check(network, address)
		},
	}
	return &http.Transport{
		DialContext:            d.DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  egressTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
	}
}

func sameHostOnly(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return errOtherHost
	}
	if len(via) > egressMaxHops {
		return fmt.Errorf("more than %d redirects", egressMaxHops)
	}
	return nil
}

// cappedBody fails when more than left bytes come, unlike io.LimitReader, which
// would pass a cut document on as if it were whole.
type cappedBody struct {
	io.ReadCloser
	left int
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLong
	}
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	if b.left < 0 {
		return n + b.left, errTooLong
	}
	return n, err
}

// Fetch gets a document at an address that a tenant chose, for other doors. what names
// it in the fault. Faults: Invalid on "url", Unavailable.
func (d *Door) Fetch(ctx context.Context, what fault.Word, address string) ([]byte, error) {
	body, _, err := fetch(ctx, d.client, what, address)
	return body, err
}

// fetch gets a document of the identity provider. Faults: Unavailable, with a
// reason that never repeats what the other side said.
func fetch(ctx context.Context, client *http.Client, what fault.Word, address string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, fault.Invalid.On("url", "The %s address %q is not a URL.", what, address)
	}
	req.Header.Set("Accept", "application/json, application/samlmetadata+xml, application/xml;q=0.9, */*;q=0.1")
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, unreachable(err, what, address)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fault.Unavailable.Say("The %s at %s answered with status %d.", what, hostOf(address), resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, unreachable(err, what, address)
	}
	return body, resp.Header, nil
}

// asker is the client as package oidc wants it. A request with a body or with
// somebody's right in its header follows no redirect: that goes nowhere else.
func asker(client *http.Client) oidc.Asker {
	return func(r *http.Request, what fault.Word) (oidc.Reply, error) {
		use := *client
		if r.Body != nil || r.Header.Get("Authorization") != "" {
			use.CheckRedirect = func(*http.Request, []*http.Request) error { return errOtherHost }
		}
		resp, err := use.Do(r)
		if err != nil {
			return oidc.Reply{}, unreachable(err, what, r.URL.String())
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return oidc.Reply{}, unreachable(err, what, r.URL.String())
		}
		return oidc.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
	}
}

// unreachable says why an outgoing request failed and what to change, in words
// that are safe for whoever reads the page.
func unreachable(err error, what fault.Word, address string) error {
	host := hostOf(address)
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP):
		return fault.Unavailable.Wrap(err, "The %s host %s is on a private network that this server may not reach. Its operator can allow the network in MUSTER_EGRESS_ALLOW.", what, host)
	case errors.Is(err, errPlainHTTP):
		return fault.Unavailable.Wrap(err, "The %s at %s must use https. Plain http is for networks in MUSTER_EGRESS_ALLOW only.", what, host)
	case errors.Is(err, errTooLong), errors.Is(err, errOtherHost):
		return fault.Unavailable.Wrap(err, "The %s at %s cannot be used: the answer is too long, or it redirects to another host.", what, host)
	}
	return fault.Unavailable.Wrap(err, "The %s at %s cannot be reached or did not answer within %d seconds.", what, host, int(egressTimeout.Seconds()))
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "that address"
	}
	return u.Host
}
