package conform

import "net/http"

// etagProbes are about versions (RFC 7644 §3.14), when the server announces them.
func etagProbes(t resourceType) []probe {
	const source = "RFC 7644 §3.14"
	id := "etag." + t.Name + "."
	on := func(f func(*check, resourceType)) func(*check) {
		return func(c *check) {
			if !c.announces("etag") {
				c.unsupported("ServiceProviderConfig says etag.supported false")
				return
			}
			f(c, t)
		}
	}
	return []probe{
		{id + "header", "ETag and meta.version are the same, on GET, POST and PUT", source, must, nil, on(etagHeader)},
		{id + "none-match", "If-None-Match with the version is 304 without a body", source, must, nil, on(func(c *check, t resourceType) {
			path := at(t, c.create(t, nil))
			tag := c.read(path).header.Get("ETag")
			a := c.do("GET", path, nil, "If-None-Match", tag)
			if c.status(a, http.StatusNotModified) && len(a.raw) > 0 {
				c.fail("%s: a 304 has a body", a.what)
			}
			c.status(c.do("GET", path, nil, "If-None-Match", `W/"conform-other"`), http.StatusOK)
		})},
		{id + "none-match.write", "If-None-Match with the version makes a change 412, and nothing changes", "RFC 9110 §13.1.2", should, nil, on(func(c *check, t resourceType) {
			before := c.create(t, nil)
			path := at(t, before)
			for _, tag := range []string{c.read(path).header.Get("ETag"), "*"} {
				c.refused(c.do("PUT", path, c.least(t), "If-None-Match", tag), http.StatusPreconditionFailed)
				c.refused(c.do("DELETE", path, nil, "If-None-Match", tag), http.StatusPreconditionFailed)
			}
			c.same(path, before)
		})},
		{id + "match", "If-Match with another version is 412, and nothing changes", source, must, nil, on(etagMatch)},
		{id + "match.right", "If-Match with the version is obeyed", source, must, nil, on(func(c *check, t resourceType) {
			path := at(t, c.create(t, nil))
			a := c.do("PUT", path, c.least(t), "If-Match", c.read(path).header.Get("ETag"))
			c.status(a, http.StatusOK)
			c.status(c.do("DELETE", path, nil, "If-Match", c.read(path).header.Get("ETag")), http.StatusNoContent)
		})},
		{id + "changes", "a change gives a new version and lastModified, and a change of nothing does not", source + ", §3.5.2.1", should, nil, on(etagChanges)},
	}
}

func etagHeader(c *check, t resourceType) {
	a := c.do("POST", t.Endpoint, c.least(t))
	c.status(a, http.StatusCreated)
	b := c.do("PUT", at(t, a.doc), c.least(t))
	c.status(b, http.StatusOK)
	for _, got := range []answer{a, b, c.read(at(t, a.doc))} {
		tag := got.header.Get("ETag")
		if version, _ := pick(got.doc, "/meta/version").(string); !c.decided && (tag == "" || tag != version) {
			c.fail("%s: ETag is %q, meta.version is %q; want the same", got.what, tag, version)
		}
	}
}

func etagMatch(c *check, t resourceType) {
	before := c.create(t, nil)
	path := at(t, before)
	stale := `W/"conform-stale"`
	c.refused(c.do("PUT", path, c.least(t), "If-Match", stale), http.StatusPreconditionFailed)
	change := object{"schemas": []any{patchURN}, "Operations": []any{operation("replace", c.naming(t), c.name("stale"))}}
	c.refused(c.do("PATCH", path, change, "If-Match", stale), http.StatusPreconditionFailed)
	c.refused(c.do("DELETE", path, nil, "If-Match", stale), http.StatusPreconditionFailed)
	c.same(path, before)
}

func etagChanges(c *check, t resourceType) {
	before := c.create(t, nil)
	path := at(t, before)
	name := c.name("new")
	c.done(c.patch(path, operation("replace", c.naming(t), name)))
	after := c.read(path)
	if !c.decided && pick(after.doc, "/meta/version") == pick(before, "/meta/version") {
		c.fail("%s: the version did not change with %s", after.what, c.naming(t))
	}
	c.done(c.patch(path, operation("replace", c.naming(t), name)))
	c.equal(c.read(path), "/meta", pick(after.doc, "/meta"))
}
