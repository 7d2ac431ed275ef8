package oidc

// Endpoint is an address of the provider and what it is for.
type Endpoint struct{ Name, URL string }

// Endpoints are those that the discovery document names, for an administrator to
// look at.
func (i *Issuer) Endpoints() (list []Endpoint) {
	for _, e := range []Endpoint{{"Sign-in (authorization)", i.authorization}, {"Token", i.token}, {"Keys (JWKS)", i.keys.url}, {"Userinfo", i.userinfo}, {"Logout (end session)", i.EndSession}} {
		if e.URL != "" {
			list = append(list, e)
		}
	}
	return list
}
