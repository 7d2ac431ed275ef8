package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Addr is host:port to listen on.
type Addr string

// UnmarshalText takes host:port; the host may be empty (every address).
func (a *Addr) UnmarshalText(text []byte) error {
	host, port, err := net.SplitHostPort(string(text))
	if err != nil {
		return errors.New("is not an address and port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("has port %q, which is not a number from 0 to 65535", port)
	} else if n != 0 && strings.HasPrefix(port, "0") {
		return fmt.Errorf("has port %q with a leading zero", port)
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("has host %q, which is not an IP address (or localhost)", host)
		}
	}
	*a = Addr(text)
	return nil
}

// Loopback tells whether only this machine reaches the address.
func (a Addr) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	return err == nil && loopback(host)
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// PublicURL is scheme and host, without a slash at the end.
type PublicURL string

// UnmarshalText takes an https URL, or an http one on loopback.
func (p *PublicURL) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("is not a URL with a host")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("has scheme %q; it must be https", u.Scheme)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("is plain http on a host that is not loopback, so passwords and cookies would travel unprotected; use https")
	case u.Path != "" && u.Path != "/":
		return fmt.Errorf("has the path %q; give scheme and host only", u.Path)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("has more than scheme and host")
	}
	*p = PublicURL(u.Scheme + "://" + strings.ToLower(u.Host))
	return nil
}

// DatabaseURL is sqlite:PATH or postgres://...
type DatabaseURL string

// UnmarshalText looks at the scheme and the parts that must be there.
func (d *DatabaseURL) UnmarshalText(text []byte) error {
	s := string(text)
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		if path == "" {
			return errors.New("names no file")
		}
		*d = DatabaseURL(s)
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New("is neither sqlite:PATH nor postgres://user:password@host/database")
	}
	*d = DatabaseURL(s)
	return nil
}

// MailURL is smtp:// or smtps://.
type MailURL string

// UnmarshalText looks at scheme and host.
func (m *MailURL) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"smtp", "smtps"}, u.Scheme) {
		return errors.New("is neither smtp://host:port nor smtps://host:port")
	}
	*m = MailURL(text)
	return nil
}

// MailFrom is one address, with or without a name.
type MailFrom string

// UnmarshalText takes "a@example.com" or "Name <a@example.com>".
func (m *MailFrom) UnmarshalText(text []byte) error {
	if _, err := mail.ParseAddress(string(text)); err != nil {
		return errors.New("is not one e-mail address")
	}
	*m = MailFrom(text)
	return nil
}

// Prefixes is a set of networks.
type Prefixes []netip.Prefix

// UnmarshalText takes networks and single addresses, separated by commas.
func (p *Prefixes) UnmarshalText(text []byte) error {
	var all Prefixes
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ' ' }) {
		one, err := netip.ParsePrefix(word)
		if err != nil {
			ip, err := netip.ParseAddr(word)
			if err != nil {
				return fmt.Errorf("has %q, which is not a network", word)
			}
			one = netip.PrefixFrom(ip, ip.BitLen())
		}
		if one != one.Masked() {
			return fmt.Errorf("has %s, which has bits beyond its mask; %s is meant perhaps", one, one.Masked())
		}
		all = append(all, one)
	}
	*p = all
	return nil
}

// LogFormat is json, text or auto.
type LogFormat string

// UnmarshalText takes one of the three.
func (f *LogFormat) UnmarshalText(text []byte) error {
	if !slices.Contains([]string{"json", "text", "auto"}, string(text)) {
		return errors.New("is none of json, text, auto")
	}
	*f = LogFormat(text)
	return nil
}
