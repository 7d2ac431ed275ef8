package importer

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/muster-id/muster/store"
)

// decode reads what insertRows has written. Nearly all rows of an import are cells of plain
// text and a manager, which are read here at a fifth of what the general way costs.
func (r *Row) decode(data store.JSON) error {
	p := plainJSON{rest: string(data)}
	if p.row(r) {
		return nil
	}
	*r = Row{}
	return json.Unmarshal(data, r)
}

// plainJSON reads JSON of which each text is written as it is.
type plainJSON struct{ rest string }

// row tells false when there is anything else, such as changes or an escaped character.
func (p *plainJSON) row(r *Row) bool {
	return p.object(func(key string) (ok bool) {
		switch key {
		case "cells":
			r.Cells = map[string]string{}
			return p.object(func(cell string) (ok bool) {
				r.Cells[cell], ok = p.text()
				return ok
			})
		case "boss":
			r.Boss, ok = p.number()
		case "manager":
			var id string
			id, ok = p.text()
			r.Manager = store.UserID(id)
		case "named":
			r.Named, ok = p.text()
		}
		return ok
	}) && p.rest == ""
}

// take passes over a sign and the spaces behind it.
func (p *plainJSON) take(sign string) bool {
	rest, ok := strings.CutPrefix(p.rest, sign)
	if ok {
		p.rest = strings.TrimLeft(rest, " ")
	}
	return ok
}

// object has value read what stands under each key.
func (p *plainJSON) object(value func(key string) bool) bool {
	if !p.take("{") {
		return false
	}
	if p.take("}") {
		return true
	}
	for {
		key, ok := p.text()
		if !ok || !p.take(":") || !value(key) {
			return false
		}
		if !p.take(",") {
			return p.take("}")
		}
	}
}

func (p *plainJSON) text() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		return "", false
	}
	end := strings.IndexByte(p.rest[1:], '"') + 1
	if end == 0 || strings.IndexByte(p.rest[:end], '\\') >= 0 {
		return "", false
	}
	s := p.rest[1:end]
	p.rest = p.rest[end:]
	return s, p.take(`"`)
}

func (p *plainJSON) number() (int, bool) {
	digits := p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, "0123456789"))]
	n, err := strconv.Atoi(digits)
	return n, err == nil && p.take(digits)
}
