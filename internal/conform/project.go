package conform

import "net/http"

// projectionProbes are about attributes and excludedAttributes (RFC 7644 §3.9).
func projectionProbes() []probe {
	const source = "RFC 7644 §3.9"
	return []probe{
		{"projection.only", "attributes=userName shows userName, what is always returned, and nothing else", source, must, meets("entra"), func(c *check) {
			c.shape(c.view("attributes=userName"), []string{"userName", "id"}, []string{"name", "emails", "displayName", "active", "title"})
		}},
		{"projection.case", "names of attributes are taken in any case", source + "; RFC 7643 §2.1", must, meets("entra"), func(c *check) {
			c.shape(c.view("attributes=USERNAME"), []string{"userName", "id"}, []string{"name", "emails", "title"})
		}},
		{"projection.sub", "attributes=name.familyName shows this sub-attribute alone", source, must, nil, func(c *check) {
			a := c.view("attributes=name.familyName")
			c.shape(a, []string{"name", "id"}, []string{"userName", "emails", "title"})
			if pick(a.doc, "/name/familyName") == nil || pick(a.doc, "/name/givenName") != nil {
				c.fail("%s: name is %s, want familyName alone", a.what, show(a.doc["name"]))
			}
		}},
		{"projection.urn", "attributes takes names with their URN", source + ", §3.10", must, nil, func(c *check) {
			c.shape(c.view("attributes="+escape(userURN+":title")), []string{"title", "id"}, []string{"name", "userName", "emails"})
		}},
		{"projection.without", "excludedAttributes leaves out what it names and nothing else", source, must, meets("entra"), func(c *check) {
			c.shape(c.view("excludedAttributes=name,emails"), []string{"userName", "id", "title", "active"}, []string{"name", "emails"})
		}},
		{"projection.always", "excludedAttributes does not leave out what is always returned", source + "; RFC 7643 §7", must, nil, func(c *check) {
			c.shape(c.view("excludedAttributes=id,title"), []string{"id", "userName"}, []string{"title"})
		}},
		{"projection.list", "lists obey attributes and excludedAttributes", source, must, meets("entra"), projectionList},
		{"projection.write", "answers to POST and PUT obey attributes", source, should, nil, projectionWrite},
		{"projection.patch", "PATCH with attributes is 200 with what is asked for, and never 204", "RFC 7644 §3.5.2", must, nil, projectionPatch},
		{"projection.members", "excludedAttributes=members shows a group without its members", source + "; Microsoft: group queries", must, meets("entra"), projectionMembers},
	}
}

// view reads the first fixture.
func (c *check) view(query string) answer {
	user, _ := c.typed("User")
	all := c.some(user)
	if len(all) == 0 {
		c.skip("there is no user to look at")
		return answer{}
	}
	return c.read(at(user, all[0]) + "?" + query)
}

// shape demands that some attributes are there and others are not.
func (c *check) shape(a answer, with, without []string) { c.shapeOf(a.what, a.doc, with, without) }

func (c *check) shapeOf(what string, doc object, with, without []string) {
	for _, name := range with {
		if field(doc, name) == nil {
			c.fail("%s: %s is missing", what, name)
		}
	}
	for _, name := range without {
		if v := field(doc, name); v != nil {
			c.fail("%s: %s is there: %s", what, name, show(v))
		}
	}
}

func projectionList(c *check) {
	user, _ := c.typed("User")
	for query, want := range map[string][2][]string{
		"&attributes=userName":     {{"userName", "id"}, {"name", "active", "title"}},
		"&excludedAttributes=name": {{"userName", "id", "active"}, {"name"}},
	} {
		a := c.page(user, query)
		for _, one := range list(a.doc["Resources"]) {
			o, _ := one.(object)
			c.shapeOf(a.what, o, want[0], want[1])
		}
	}
}

func projectionWrite(c *check) {
	user, _ := c.typed("User")
	doc := c.least(user)
	doc["displayName"] = c.name("d")
	a := c.do("POST", "/Users?attributes=userName", doc)
	c.status(a, http.StatusCreated)
	c.shape(a, []string{"userName", "id"}, []string{"displayName"})
	b := c.do("PUT", at(user, a.doc)+"?attributes=displayName", doc)
	c.status(b, http.StatusOK)
	c.shape(b, []string{"displayName", "id"}, []string{"userName"})
}

func projectionPatch(c *check) {
	for _, name := range []string{"User", "Group"} {
		t, ok := c.typed(name)
		if !ok {
			continue
		}
		path := at(t, c.create(t, nil)) + "?attributes=" + c.naming(t)
		a := c.patch(path, operation("replace", c.naming(t), c.name("new")))
		c.status(a, http.StatusOK)
		c.shape(a, []string{c.naming(t), "id"}, []string{"meta"})
	}
}

func projectionMembers(c *check) {
	user, _ := c.typed("User")
	group, ok := c.typed("Group")
	if !ok {
		c.unsupported("there is no resource type Group")
		return
	}
	g := c.create(group, object{"members": []any{object{"value": c.someone(user.Name)}}})
	c.shape(c.read(at(group, g)), []string{"displayName", "members"}, nil)
	c.shape(c.read(at(group, g)+"?excludedAttributes=members"), []string{"displayName", "id"}, []string{"members"})
	name, _ := g["displayName"].(string)
	for _, one := range c.found(group, `displayName eq "`+name+`"`, "&excludedAttributes=members") {
		o, _ := one.(object)
		c.shapeOf("the list", o, []string{"displayName", "id"}, []string{"members"})
	}
}
