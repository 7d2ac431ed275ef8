package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// answer is how a kind of fault looks from outside.
type answer struct {
	Status int
	Title  string
	Plain  string // the sentence when the fault brings none
}

// answers has every kind; a test walks them.
var answers = map[fault.Kind]answer{
	fault.Internal:    {http.StatusInternalServerError, "Something went wrong", "That is our fault, and it has been logged. Try again; if it stays, give your administrator the reference below."},
	fault.Invalid:     {http.StatusBadRequest, "That was not understood", "Something in the request is not right. Go back, check what you typed, and send it again."},
	fault.NotFound:    {http.StatusNotFound, "Page not found", "There is nothing at this address, or you may not see it. Check the link."},
	fault.Conflict:    {http.StatusConflict, "That clashes with something", "Somebody changed this meanwhile. Go back, load the page again, and look before you send."},
	fault.Denied:      {http.StatusForbidden, "Not allowed", "Your role does not allow this. Ask an administrator of your organization."},
	fault.SignIn:      {http.StatusUnauthorized, "Please sign in", "You are not signed in, or your session has ended."},
	fault.Expired:     {http.StatusGone, "This is no longer valid", "It was used before, withdrawn, or is too old. Ask for a new one."},
	fault.TooMany:     {http.StatusTooManyRequests, "Too many attempts", "Wait a minute, then try again."},
	fault.Unavailable: {http.StatusServiceUnavailable, "Not available right now", "Something that we need does not answer. Try again in a minute."},
}

// wrongMethod is the answer to what ServeMux knows by another method only.
var wrongMethod = answer{http.StatusMethodNotAllowed, "Not possible here", "This address does not take %s, only %s."}

// Status is the HTTP status of an error, for handlers that show it in their own page.
func Status(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return answers[fault.Of(err)].Status
}

// Sentence is what of an error may be shown.
func Sentence(err error) string {
	if s := fault.Public(err); s != "" {
		return s
	}
	return answers[fault.Of(err)].Plain
}

// problem is RFC 9457 JSON.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Field     string `json:"field,omitempty"`
	RequestID string `json:"request_id"`
}

// fail answers a request with an error.
func (m *Mux) fail(w *response, r *http.Request, err error) {
	w.err = err
	if w.status != 0 { // half an answer is out: the log line is all that is left
		return
	}
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) { // the browser left
		w.status = 499
		return
	}
	a := answers[fault.Of(err)]
	m.show(w, r, Status(err), problem{Title: a.Title, Detail: Sentence(err), Field: fault.Field(err)}, err)
}

// failStatus answers what ServeMux refused.
func (m *Mux) failStatus(w *response, r *http.Request, status int) {
	w.refused, w.unrouted = 0, false
	w.Header().Del("Content-Type")
	p := problem{Title: answers[fault.NotFound].Title}
	var err error = &fault.Error{Kind: fault.NotFound}
	if status == http.StatusMethodNotAllowed {
		p.Title = wrongMethod.Title
		format, args := wrongMethod.Plain, []any{r.Method, w.Header().Get("Allow")}
		err = &fault.Error{Kind: fault.Invalid, Public: fmt.Sprintf(format, args...), Format: format, Args: args}
	}
	p.Detail = Sentence(err)
	m.show(w, r, status, p, err)
}

func (m *Mux) show(w *response, r *http.Request, status int, p problem, said error) {
	p.Type, p.Status, p.RequestID = "about:blank", status, stateOf(r).id
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	for _, one := range m.programs {
		if whole, err := path.Match(one.below, r.URL.Path); err == nil && whole || strings.HasPrefix(r.URL.Path, one.below) {
			one.refuse(w, status, p.Detail)
			return
		}
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 §11.6.1 demands one
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(p)
		return
	}
	page := struct {
		problem
		Signed bool
	}{p, Actor(r).Signed()}
	to := ReaderIn(r)
	page.Title = to.T(page.Title)
	page.Detail = sentenceIn(to, said)
	if err := own.Write(w, r, status, "fault", page); err != nil {
		m.log.ErrorContext(r.Context(), "error page", "request_id", p.RequestID, "error", err)
		http.Error(w, p.Title+". Reference: "+p.RequestID, status)
	}
}

// JSON answers with v.
func JSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	return err
}

// OAuthRefusal answers a program that reads no pages in the form of RFC 6749 §5.2. ours is
// the code of what is not its mistake.
func OAuthRefusal(w http.ResponseWriter, status int, ours, why string) error {
	code := "invalid_request"
	if status >= http.StatusInternalServerError {
		code = ours
	}
	w.Header().Set("Cache-Control", "no-store")
	return JSON(w, status, map[string]string{"error": code, "error_description": why})
}

// ReadJSON reads the body of an API request into v, a pointer to a struct. A field
// that the struct does not have is refused, so that nobody thinks it was understood, and
// so is a body without one of those needed, which the OpenAPI document names.
// Faults: Invalid.
func ReadJSON(r *http.Request, v any, needed ...string) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return fault.Invalid.Say("Send the body as JSON, with Content-Type: application/json.")
	}
	var body bytes.Buffer
	in := io.Reader(r.Body)
	if len(needed) > 0 {
		in = io.TeeReader(in, &body)
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	err = d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			return fault.Invalid.Say("Something follows the JSON object in the body. Send one object.")
		}
		if len(needed) > 0 {
			return hasAll(body.Bytes(), needed)
		}
		return nil
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Invalid.Wrap(err, "The body is larger than the %d kB that are allowed here.", large.Limit>>10)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return fault.Invalid.Say("The body is of the JSON type %s. Send one object with the fields that docs/api.md names.", wrong.Value)
		}
		return fault.Invalid.On(wrong.Field, "%s is of the JSON type %s, which it cannot be. docs/api.md says what it is.", wrong.Field, wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // the package has no type for it
		name = strings.Trim(name, `"`)
		return fault.Invalid.On(name, "There is no field %.64q here. docs/api.md says which there are.", name)
	}
	return fault.Invalid.Wrap(err, "The body cannot be read: want one JSON object with the fields that docs/api.md names.")
}

// hasAll refuses an object without one of the fields needed; null is none.
func hasAll(body []byte, needed []string) error {
	var there map[string]json.RawMessage
	if err := json.Unmarshal(body, &there); err != nil {
		return err
	}
	for _, field := range needed {
		found := false
		for name, value := range there {
			found = found || strings.EqualFold(name, field) && string(value) != "null" // as encoding/json reads names
		}
		if !found {
			return fault.Invalid.On(field, "%s is missing. docs/api.md says what it is.", field)
		}
	}
	return nil
}
