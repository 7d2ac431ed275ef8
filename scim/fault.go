package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	scimerr "github.com/elimity-com/scim/errors"

	"github.com/muster-id/muster/internal/fault"
)

// refuse is a 400 with a scimType (RFC 7644 §3.12, table 9).
func refuse(t scimerr.ScimType, format string, args ...any) error {
	return scimerr.ScimError{ScimType: t, Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

func invalidSyntax(format string, args ...any) error {
	return refuse(scimerr.ScimTypeInvalidSyntax, format, args...)
}

func invalidValue(format string, args ...any) error {
	return refuse(scimerr.ScimTypeInvalidValue, format, args...)
}

func invalidPath(format string, args ...any) error {
	return refuse(scimerr.ScimTypeInvalidPath, format, args...)
}

func noTarget(format string, args ...any) error {
	return refuse(scimerr.ScimTypeNoTarget, format, args...)
}

func mutability(format string, args ...any) error {
	return refuse(scimerr.ScimTypeMutability, format, args...)
}

// status is an error for which RFC 7644 has a status and no scimType.
func status(code int, format string, args ...any) error {
	return scimerr.ScimError{Status: code, Detail: fmt.Sprintf(format, args...)}
}

// toScim maps every error of the house to a SCIM error, once. An error that is
// neither of the door nor a fault is internal: its text stays in the log.
func toScim(err error) scimerr.ScimError {
	if e, ok := errors.AsType[scimerr.ScimError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*scimerr.ScimError](err); ok && e != nil {
		return *e
	}
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return scimerr.ScimError{Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("The body is larger than %d bytes. Send fewer values per request.", tooBig.Limit)}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return scimerr.ScimError{Status: http.StatusServiceUnavailable, Detail: "The request took too long. Read the resource to see what was done, then send it again or ask for less at once."}
	}
	out := scimerr.ScimError{Detail: fault.Public(err)}
	switch fault.Of(err) {
	case fault.Invalid:
		out.Status, out.ScimType = http.StatusBadRequest, scimerr.ScimTypeInvalidValue
	case fault.NotFound:
		out.Status = http.StatusNotFound
	case fault.Conflict:
		// "version" means that another request was faster: RFC 7644 §3.12 has 409
		// for it, and uniqueness would send the administrator looking for a twin.
		out.Status = http.StatusConflict
		switch fault.Field(err) {
		case "version":
		case "seats": // no twin either: understood, and not permitted (RFC 7644 §3.12); directories show the detail
			out.Status = http.StatusForbidden
			return out
		default:
			out.ScimType = scimerr.ScimTypeUniqueness
		}
	case fault.Denied:
		out.Status = http.StatusForbidden
	case fault.SignIn, fault.Expired: // only tokens expire at this door
		out.Status = http.StatusUnauthorized
	case fault.TooMany:
		out.Status = http.StatusTooManyRequests
	case fault.Unavailable:
		out.Status = http.StatusServiceUnavailable
	default:
		out.Status = http.StatusInternalServerError
		out.Detail = "Something went wrong on our side. The request's reference is in the X-Request-Id header."
	}
	if f := fault.Field(err); f != "" && out.Status < 500 {
		out.Detail = f + ": " + out.Detail
	}
	return out
}

// writeError answers with a SCIM error. HEAD and 304 have no body.
func writeError(w http.ResponseWriter, e scimerr.ScimError) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	switch e.Status {
	case http.StatusUnauthorized:
		if h.Get("WWW-Authenticate") == "" {
			h.Set("WWW-Authenticate", `Bearer realm="scim"`)
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "5")
		}
	}
	body, err := json.Marshal(e)
	if err != nil { // two strings and a number
		body = []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"` + strconv.Itoa(e.Status) + `"}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body)
}
