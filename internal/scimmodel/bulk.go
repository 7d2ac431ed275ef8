package scimmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Bulk (RFC 7644 §3.7): single requests, each after those that it refers to.

// bulkOp is one operation.
type bulkOp struct {
	c      change
	bulkID string
	path   string
	data   any
	refs   []string // bulkIds in path and data
	faults []Fault
	done   bool
	id     string
}

// bulk checks the answer of each operation. Choice: answers come in the order of
// the request, and one operation that cannot be done keeps no other from it.
func (m *Model) bulk(q Request, a Answer) outcome {
	var out outcome
	var body struct {
		Schemas      []string
		FailOnErrors int
		Operations   []struct {
			Method, BulkID, Path, Version string
			Data                          any
		}
	}
	if err := json.Unmarshal([]byte(q.Body), &body); err != nil || !slices.Contains(body.Schemas, bulkURN) || len(body.Operations) == 0 {
		return outcome{faults: []Fault{{400, "invalidSyntax"}}}
	}
	answers, _ := a.object()["Operations"].([]any)
	told := tellers(answers)
	var ops []*bulkOp
	for _, o := range body.Operations {
		op := &bulkOp{bulkID: o.BulkID, path: o.Path, data: o.Data}
		op.c = change{method: o.Method, match: o.Version, newID: told[o.BulkID]}
		op.refs = references(op.path, o.Data)
		ops = append(ops, op)
	}
	want := []any{}
	failures := 0
	for _, unit := range order(ops) {
		if body.FailOnErrors > 0 && failures >= body.FailOnErrors {
			break
		}
		m.unit(unit, ops)
		for _, op := range unit {
			if op.done = true; len(op.faults) > 0 {
				failures++
			}
		}
	}
	ends := slices.ContainsFunc(ops, func(op *bulkOp) bool { return op.c.method == http.MethodDelete })
	for _, op := range ops {
		if op.done {
			var got map[string]any
			if len(want) < len(answers) {
				got, _ = answers[len(want)].(map[string]any)
			}
			want = append(want, op.answer(m.base, got))
			if tag, _ := got["version"].(string); len(op.faults) == 0 && !ends { // a deletion changes groups later
				if r := m.find(op.c.k, op.id); r != nil {
					r.told = tag
				}
			}
		}
	}
	out.status = []int{http.StatusOK}
	out.body = map[string]any{"schemas": []any{bulkReply}, "Operations": want}
	return out
}

// tellers are the ids that an answer names for bulkIds.
func tellers(answers []any) map[string]string {
	ids := map[string]string{}
	for _, e := range answers {
		o, _ := e.(map[string]any)
		name, _ := o["bulkId"].(string)
		at, _ := o["location"].(string)
		if name != "" && at != "" && o["method"] == http.MethodPost {
			ids[name] = at[strings.LastIndexByte(at, '/')+1:]
		}
	}
	return ids
}

const prefix = "bulkId:"

// references are the bulkIds that stand in a value (§3.7.2).
func references(path string, data any) []string {
	var out []string
	if _, ref, ok := strings.Cut(path, "/"+prefix); ok {
		out = append(out, ref)
	}
	return append(out, refsIn(data)...)
}

func refsIn(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		if ref, ok := strings.CutPrefix(v, prefix); ok {
			out = append(out, ref)
		} else if _, rest, ok := strings.Cut(v, `"`+prefix); ok { // in the filter of a path
			ref, _, _ := strings.Cut(rest, `"`)
			out = append(out, ref)
		}
	case []any:
		for _, e := range v {
			out = append(out, refsIn(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, refsIn(e)...)
		}
	}
	return out
}

// order puts operations in an order in which each comes after what it refers to,
// and after what comes before it for the same resource; else as in the request.
// Those that refer to one another are one unit.
func order(ops []*bulkOp) [][]*bulkOp {
	needs := func(op *bulkOp) []*bulkOp {
		var out []*bulkOp
		for i, other := range ops {
			earlier := i < slices.Index(ops, op) && op.c.method != http.MethodPost && other.c.method != http.MethodPost && other.path == op.path
			if earlier || other.c.method == http.MethodPost && slices.Contains(op.refs, other.bulkID) {
				out = append(out, other)
			}
		}
		return out
	}
	reach := map[*bulkOp]map[*bulkOp]bool{}
	for _, op := range ops {
		seen := map[*bulkOp]bool{}
		for todo := needs(op); len(todo) > 0; todo = todo[1:] {
			if !seen[todo[0]] {
				seen[todo[0]] = true
				todo = append(todo, needs(todo[0])...)
			}
		}
		reach[op] = seen
	}
	var units [][]*bulkOp
	placed := map[*bulkOp]bool{}
	for len(placed) < len(ops) {
		for _, op := range ops {
			unit := []*bulkOp{op}
			for _, other := range ops {
				if other != op && reach[op][other] && reach[other][op] {
					unit = append(unit, other)
				}
			}
			ready := !placed[op]
			for need := range reach[op] {
				ready = ready && (placed[need] || slices.Contains(unit, need))
			}
			if ready {
				for _, o := range unit {
					placed[o] = true
				}
				units = append(units, unit)
				break
			}
		}
	}
	return units
}

// unit does one operation, or creates all of a circle or none.
func (m *Model) unit(unit, ops []*bulkOp) {
	before := m.Clone()
	slices.SortStableFunc(unit, func(a, b *bulkOp) int { return strings.Compare(b.path, a.path) }) // users before groups
	failed := false
	for _, op := range unit {
		m.operation(op, unit, ops)
		failed = failed || len(op.faults) > 0
	}
	if len(unit) == 1 || !failed {
		return
	}
	*m = *before
	for _, op := range unit { // whichever was met first is named, the others are done with it
		op.faults = append(op.faults, Fault{409, ""})
	}
}

func (m *Model) operation(op *bulkOp, unit, ops []*bulkOp) {
	parts := strings.Split(strings.TrimPrefix(op.path, "/"), "/")
	for _, k := range m.kinds {
		if "/"+parts[0] == k.endpoint() {
			op.c.k = k
		}
	}
	if op.c.k == nil {
		op.faults = append(op.faults, Fault{404, ""})
		return
	}
	if len(parts) == 2 && !strings.HasPrefix(parts[1], prefix) {
		op.id = parts[1] // §3.7: location is there unless a POST failed
	}
	ids := map[string]string{}
	for _, ref := range op.refs {
		i := slices.IndexFunc(ops, func(o *bulkOp) bool { return o.c.method == http.MethodPost && o.bulkID == ref })
		switch {
		case i < 0:
			op.faults = append(op.faults, Fault{400, "invalidValue"})
		case len(ops[i].faults) > 0 && !slices.Contains(unit, ops[i]):
			op.faults = append(op.faults, Fault{409, ""}) // §3.7.2: it cannot be resolved
		default:
			ids[ref] = ops[i].c.newID
		}
	}
	if len(op.faults) > 0 {
		return
	}
	if len(parts) == 2 {
		op.c.id = resolved(parts[1], ids).(string)
	}
	op.c.body, _ = resolved(op.data, ids).(map[string]any)
	try := m.change
	if len(unit) > 1 { // whoever fails is still in the way of the others
		try = m.attempt
	}
	r, faults := try(op.c)
	if op.faults, op.id = faults, op.c.id; len(faults) == 0 && r != nil {
		op.id = r.id
	}
}

func resolved(v any, ids map[string]string) any {
	switch v := v.(type) {
	case string:
		for ref, id := range ids {
			if v == prefix+ref {
				return id
			}
			v = strings.ReplaceAll(v, `"`+prefix+ref+`"`, `"`+id+`"`)
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = resolved(e, ids)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = resolved(e, ids)
		}
		return out
	}
	return v
}

// answer is what stands in a BulkResponse for an operation. got is what does.
func (op *bulkOp) answer(base string, got map[string]any) map[string]any {
	out := map[string]any{}
	if op.c.method != "" {
		out["method"] = op.c.method
	}
	if op.bulkID != "" {
		out["bulkId"] = op.bulkID
	}
	if op.id != "" {
		out["location"] = base + op.c.k.endpoint() + "/" + op.id
	}
	if len(op.faults) > 0 {
		out["status"], out["response"] = got["status"], got["response"]
		a := Answer{Body: canonical(got["response"])}
		fmt.Sscan(fmt.Sprint(got["status"]), &a.Status)
		if err := refusal(op.faults, a); err != nil {
			out["response"] = err
		}
		return out
	}
	status := map[string]string{"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}[op.c.method]
	if op.c.method == http.MethodPatch && op.c.k.name == "Group" {
		status = "204" // choice
	}
	out["status"] = status
	if op.c.method != http.MethodDelete {
		out["version"] = unknown{}
	}
	return out
}
