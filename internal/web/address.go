package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ClientIP is the address that the request came from, as far as it can be
// believed; the zero Addr when unknown.
func ClientIP(r *http.Request) netip.Addr { return stateOf(r).ip }

// clientIP is the peer, or, when the peer is a trusted proxy, the rightmost
// address of X-Forwarded-For that is not one: everything further left was
// written by somebody we do not trust.
func clientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip := peer.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !inAny(ip, trusted) {
			break
		}
		next, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		ip = next
	}
	return ip
}

// parseHop reads an address with or without a port, as proxies write them.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func inAny(ip netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// home is where a sign-in ends that did not say otherwise.
const home = "/account"

// Local is next when it is a path on ourselves, else "/account". What a browser
// could read as another host is refused: a scheme, "//", a backslash (browsers
// take it for a slash), control characters (browsers drop them), dot segments.
func Local(next string) string {
	if len(next) > 2048 || !strings.HasPrefix(next, "/") {
		return home
	}
	for _, c := range next {
		if c <= ' ' || c == '\\' || c == 0x7f || (c >= 0x80 && c < 0xa0) || c == 0xfffd {
			return home
		}
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") {
		return home
	}
	// Decoded, so that %2f and %5c are seen too.
	for i, segment := range strings.Split(u.Path, "/") {
		last := i == strings.Count(u.Path, "/")
		if i > 0 && ((segment == "" && !last) || segment == "." || segment == ".." || strings.ContainsAny(segment, "\\\r\n\t")) {
			return home
		}
	}
	return next
}
