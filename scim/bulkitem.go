package scim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	scimerr "github.com/elimity-com/scim/errors"

	"github.com/muster-id/muster/store"
)

// bulkOp is one operation of a Bulk.
type bulkOp struct {
	at                      int // place in the request
	method, bulkID, version string
	kind                    string // Users or Groups
	id                      string // of the resource; of a POST after it was done
	target                  string // the bulkId in the path instead of an id
	data                    map[string]any
	wants                   []string           // names that a POST would take
	refs                    map[string]*bulkOp // by bulkId; what stands in data
	needs                   []*bulkOp          // must be done before: refs, target, and what comes earlier for the same resource
	err                     error

	done bool
	code int
	tag  string // the new version

	changes    int // for the log
	activities []store.ActivityID
	name       string // of the resource
}

// readBulkOp reads one element of Operations. What is wrong with it is in err.
func readBulkOp(at int, raw any) *bulkOp {
	op := &bulkOp{at: at}
	fields, ok := raw.(map[string]any)
	if !ok {
		op.err = invalidSyntax("Operation %d is not an object.", at+1)
		return op
	}
	var path string
	for _, f := range []struct {
		name string
		into *string
	}{{"method", &op.method}, {"bulkId", &op.bulkID}, {"version", &op.version}, {"path", &path}} {
		_, v := anyCase(fields, f.name)
		s, isText := v.(string)
		if v != nil && !isText {
			op.err = invalidSyntax("%s is %s: want text.", f.name, show(v))
		}
		*f.into = s
	}
	if op.err == nil {
		op.err = op.route(path)
	}
	if op.err == nil && op.method != http.MethodDelete {
		_, data := anyCase(fields, "data")
		op.data, op.err = op.body(data)
	}
	return op
}

// route reads method and path, which is relative to the base URL.
func (op *bulkOp) route(path string) error {
	s := strings.Split(path, "/")
	if len(s) > 1 && s[0] == "" && catalogueOf(s[1]) != nil {
		return status(http.StatusMethodNotAllowed, "%.200q cannot be changed by SCIM, so nothing of it stands in a Bulk: GET reads it.", path)
	}
	if len(s) < 2 || len(s) > 3 || s[0] != "" || s[1] != "Users" && s[1] != "Groups" || len(s) == 3 && s[2] == "" {
		return status(http.StatusNotFound, "The path is %.200q: want /Users, /Groups, or one of them with an id or bulkId behind it, such as /Users/bulkId:1.", path)
	}
	op.kind = s[1]
	allow := []string{http.MethodPost}
	if len(s) == 3 {
		allow = []string{http.MethodDelete, http.MethodPatch, http.MethodPut}
		op.id = s[2]
		if ref, ok := bulkRef(s[2]); ok {
			op.id, op.target = "", ref
		}
	}
	if !slices.Contains(allow, op.method) {
		return status(http.StatusMethodNotAllowed, "%.200q does not take %.20q in a Bulk, only %s.", path, op.method, strings.Join(allow, ", "))
	}
	if op.method == http.MethodPost && op.bulkID == "" {
		return invalidValue("A POST needs a bulkId of its own, by which the answer names it (RFC 7644 §3.7).")
	}
	return nil
}

// body reads data. For PATCH it may be the bare list of operations, as RFC 7644
// §3.7.3 shows it.
func (op *bulkOp) body(data any) (map[string]any, error) {
	switch v := data.(type) {
	case map[string]any:
		return v, nil
	case []any:
		if op.method == http.MethodPatch {
			return map[string]any{"schemas": []any{patchURN}, "Operations": v}, nil
		}
	case nil:
		return nil, invalidValue("%s needs data: the body of the request.", op.method)
	}
	return nil, invalidSyntax("data is %s: want an object, the body of the request.", show(data))
}

// names are what a POST creates under. Of two that want the same, the first in the
// request gets it.
func (op *bulkOp) names() []string {
	unique := "userName"
	if op.kind == "Groups" {
		unique = "displayName"
	}
	var out []string
	for _, attr := range []string{unique, "externalId"} {
		_, v := anyCase(op.data, attr)
		if s, ok := v.(string); ok && s != "" {
			out = append(out, op.kind+" "+attr+" "+store.Fold(s))
		}
	}
	return out
}

// bulkAnswer is RFC 7644 §3.7's view of an outcome. The body of a success is left
// out, as it allows: location and version tell what there is.
type bulkAnswer struct {
	Location string             `json:"location,omitempty"`
	Method   string             `json:"method,omitempty"`
	BulkID   string             `json:"bulkId,omitempty"`
	Version  string             `json:"version,omitempty"`
	Status   string             `json:"status"`
	Response *scimerr.ScimError `json:"response,omitempty"`
}

func (op *bulkOp) answer(base string) bulkAnswer {
	a := bulkAnswer{Method: op.method, BulkID: op.bulkID, Version: op.tag, Status: strconv.Itoa(op.code)}
	if op.id != "" {
		a.Location = base + "/" + op.kind + "/" + op.id
	}
	if op.err != nil {
		e := toScim(op.err)
		a.Status, a.Version, a.Response = strconv.Itoa(e.Status), "", &e
	}
	return a
}
