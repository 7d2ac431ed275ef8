package scim

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// References of a Bulk (RFC 7644 §3.7.2): "bulkId:x" stands for the id of what the
// POST with the bulkId x creates, in paths of operations, in values, and in the
// filters of PATCH paths.

const bulkPrefix = "bulkId:"

// bulkRef is the bulkId that a value refers to. The prefix may have any case, so
// that none is ever taken for a value.
func bulkRef(s string) (string, bool) {
	if len(s) < len(bulkPrefix) || !strings.EqualFold(s[:len(bulkPrefix)], bulkPrefix) {
		return "", false
	}
	return s[len(bulkPrefix):], true
}

// refInFilter is a reference inside members[value eq "bulkId:x"].
var refInFilter = regexp.MustCompile(`(?i)"bulkId:[^"\\]*"|\bbulkId:[^"\\\]\s)]+`)

// finder gives the id and the kind of what a bulkId stands for.
type finder func(bulkID string) (id, kind string, err error)

// rewrite copies a document with all references replaced. key is the name under
// which v stands.
func (f finder) rewrite(v any, key, base string) (any, error) {
	switch v := v.(type) {
	case string:
		return f.text(v, key, base)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			x, err := f.rewrite(e, key, base)
			if err != nil {
				return nil, err
			}
			out[i] = x
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			name, err := f.filter(k)
			if err != nil {
				return nil, err
			}
			if out[name], err = f.rewrite(e, k, base); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func (f finder) text(s, key, base string) (string, error) {
	if ref, ok := bulkRef(s); ok {
		id, kind, err := f(ref)
		if strings.EqualFold(key, "$ref") {
			id = base + "/" + kind + "/" + id
		}
		return id, err
	}
	if at := strings.LastIndexByte(s, '/'); at >= 0 && strings.EqualFold(key, "$ref") {
		if ref, ok := bulkRef(s[at+1:]); ok {
			id, _, err := f(ref)
			return s[:at+1] + id, err
		}
	}
	if strings.EqualFold(key, "path") {
		return f.filter(s)
	}
	return s, nil
}

// filter replaces the references in a PATCH path.
func (f finder) filter(path string) (string, error) {
	if !strings.Contains(path, "[") {
		return path, nil
	}
	var failed error
	out := refInFilter.ReplaceAllStringFunc(path, func(found string) string {
		ref, _ := bulkRef(strings.Trim(found, `"`))
		id, _, err := f(ref)
		if err != nil && failed == nil {
			failed = err
		}
		return `"` + id + `"`
	})
	return out, failed
}

// link finds out which operation needs which.
func (b *batch) link() {
	for _, op := range b.ops {
		if op.err != nil || op.method != http.MethodPost {
			continue
		}
		if twin := b.posts[op.bulkID]; twin != nil {
			op.err = invalidValue("The bulkId %.200q stands at operations %d and %d; each POST needs its own.", op.bulkID, twin.at+1, op.at+1)
			twin.err = op.err
			continue
		}
		b.posts[op.bulkID] = op
		op.wants = append(op.names(), choose(op.kind == "Users", b.d.users, b.d.groups).claims(op.data)...)
	}
	last := map[string]*bulkOp{} // the latest operation on each resource
	for _, op := range b.ops {
		if op.err == nil {
			op.err = b.linkOne(op)
		}
		if op.err != nil || op.method == http.MethodPost {
			continue
		}
		resource := op.kind + "/" + op.id + bulkPrefix + op.target
		if before := last[resource]; before != nil {
			op.needs = append(op.needs, before)
		}
		last[resource] = op
	}
}

func (b *batch) linkOne(op *bulkOp) error {
	if op.target != "" {
		made := b.posts[op.target]
		if made == nil {
			return unknownRef(op.target)
		}
		if made.kind != op.kind {
			return invalidValue("The bulkId %.200q belongs to one of the %s, so the path is /%s/bulkId:%.200s.", op.target, made.kind, made.kind, op.target)
		}
		op.needs = append(op.needs, made)
	}
	collect := finder(func(ref string) (string, string, error) {
		made := b.posts[ref]
		switch {
		case made == nil:
			return "", "", unknownRef(ref)
		case op.refs[ref] == nil:
			if op.refs == nil {
				op.refs = map[string]*bulkOp{}
			}
			op.refs[ref] = made
			op.needs = append(op.needs, made)
		}
		return "", "", nil
	})
	_, err := collect.rewrite(op.data, "", "")
	return err
}

func unknownRef(ref string) error {
	return invalidValue("There is no POST with the bulkId %.200q in this request.", ref)
}

// resolve puts ids in the place of references. What they refer to has been done,
// or has its id already.
func (op *bulkOp) resolve(base string) error {
	for _, made := range op.needs {
		if made.err != nil && made.method == http.MethodPost {
			return status(http.StatusConflict, "The operation with the bulkId %.200q, to which this one refers, failed; so this one was not done.", made.bulkID)
		}
		if made.bulkID == op.target && made.method == http.MethodPost {
			op.id = made.id
		}
	}
	if len(op.refs) == 0 {
		return nil
	}
	find := finder(func(ref string) (string, string, error) { return op.refs[ref].id, op.refs[ref].kind, nil })
	data, err := find.rewrite(op.data, "", base)
	if err != nil {
		return err
	}
	op.data, _ = data.(map[string]any)
	return nil
}

// order arranges the operations: as in the request, but each after those that it
// needs. Those that need one another are one unit.
func (b *batch) order() [][]*bulkOp {
	units := circles(b.ops)
	of := make([]int, len(b.ops)) // unit of each operation
	for i, unit := range units {
		for _, op := range unit {
			of[op.at] = i
		}
	}
	waits := make([]int, len(units))   // for how many others
	frees := make([][]int, len(units)) // who waits for it
	for i, unit := range units {
		for _, op := range unit {
			for _, n := range op.needs {
				if j := of[n.at]; j != i {
					waits[i]++
					frees[j] = append(frees[j], i)
				}
			}
		}
	}
	out := make([][]*bulkOp, 0, len(units))
	for len(out) < len(units) {
		next := slices.Index(waits, 0)
		waits[next] = -1
		out = append(out, units[next])
		for _, i := range frees[next] {
			waits[i]--
		}
	}
	return out
}

// circles groups operations that need one another, directly or through others
// (Tarjan's strongly connected components), by the first of each in the request.
func circles(ops []*bulkOp) [][]*bulkOp {
	var units [][]*bulkOp
	var stack []*bulkOp
	seen := make([]int, len(ops)) // when it was met, from 1
	low := make([]int, len(ops))  // the earliest that it leads back to
	open := make([]bool, len(ops))
	met := 0
	var visit func(*bulkOp)
	visit = func(op *bulkOp) {
		met++
		seen[op.at], low[op.at], open[op.at] = met, met, true
		stack = append(stack, op)
		for _, n := range op.needs {
			if seen[n.at] == 0 {
				visit(n)
				low[op.at] = min(low[op.at], low[n.at])
			} else if open[n.at] {
				low[op.at] = min(low[op.at], seen[n.at])
			}
		}
		if low[op.at] < seen[op.at] {
			return
		}
		first := slices.Index(stack, op)
		unit := slices.Clone(stack[first:])
		stack = stack[:first]
		slices.SortFunc(unit, func(a, b *bulkOp) int { return a.at - b.at })
		for _, m := range unit {
			open[m.at] = false
		}
		units = append(units, unit)
	}
	for _, op := range ops {
		if seen[op.at] == 0 {
			visit(op)
		}
	}
	slices.SortFunc(units, func(a, b []*bulkOp) int { return a[0].at - b[0].at })
	return units
}
