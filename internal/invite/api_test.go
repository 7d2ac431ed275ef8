package invite_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *site) api(who, method, path, body string, status int) (out map[string]any) {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Who", who)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	if w.Code != status {
		s.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, path, err, w.Body)
	}
	return out
}

func TestInvitationsOverTheAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		saved := s.api("admin", "POST", "/invitations", `{"email":"ada@example.com","given_name":"Ada","roles":["viewer"],"manager":"boss@acme.example","send":false}`, 201)
		if saved["link"] != "" || saved["expires_at"] != "" || len(s.mails) != 0 {
			t.Errorf("saved: %v", saved)
		}
		at := "/invitations/" + saved["invitation_id"].(string)
		s.api("admin", "POST", "/invitations", `{"email":"ada@example.com"}`, 409)
		s.api("admin", "POST", "/invitations", `{"email":"eve@example.com","manager":"nobody"}`, 400)
		s.api("admin", "POST", "/invitations", `{"email":"eve@example.com","king":true}`, 400)
		s.api("viewer", "POST", "/invitations", `{"email":"eve@example.com"}`, 403)
		if got := s.api("viewer", "GET", at, "", 200); got["state"] != "saved" || got["name"] != "Ada" {
			t.Errorf("shown: %v", got)
		}
		s.api("stranger", "GET", at, "", 404)
		s.api("stranger", "POST", at+"/resend", "{}", 404)
		s.api("viewer", "POST", at+"/resend", "{}", 403)
		sent := s.api("admin", "POST", at+"/resend", "{}", 200)
		if !strings.Contains(sent["link"].(string), "/invite/") || len(s.mails) != 1 {
			t.Errorf("sent: %v", sent)
		}
		s.api("admin", "POST", at+"/link", "{}", 200)
		s.api("admin", "POST", at+"/correct", `{"email":"bad"}`, 400)
		if got := s.api("admin", "POST", at+"/correct", `{"email":"adele@example.com"}`, 200); got["email"] != "adele@example.com" {
			t.Errorf("corrected: %v", got)
		}
		s.api("admin", "POST", at+"/reopen", "{}", 409)
		s.api("admin", "POST", at+"/cancel", "{}", 200)
		opened := s.api("admin", "POST", at+"/reopen", "{}", 200)
		got := s.api("admin", "GET", "/invitations/"+opened["invitation_id"].(string), "", 200)
		if list := got["history"].([]any); len(list) != 6 || list[0].(map[string]any)["what"] != "reopen" {
			t.Errorf("history: %v", got["history"])
		}
		for range 3 {
			s.invite(string(store.NewID[invite.Invitation]()) + "@example.com")
		}
		page := s.api("admin", "GET", "/invitations?state=pending&limit=2", "", 200)
		rest := s.api("admin", "GET", "/invitations?state=pending&limit=3&cursor="+page["next"].(string), "", 200)
		if len(page["invitations"].([]any)) != 2 || len(rest["invitations"].([]any)) != 2 || rest["next"] != nil {
			t.Errorf("pages: %v, %v", page, rest)
		}
		for _, bad := range []string{"?state=odd", "?limit=0", "?cursor=x"} {
			s.api("admin", "GET", "/invitations"+bad, "", 400)
		}
		// What was chosen is there, and of two that change it by the same version one does.
		was := s.api("admin", "GET", "/settings/invitations", "", 200)
		if was["expiry_hours"] != float64(168) || was["remind"] != true {
			t.Errorf("settings: %v", was)
		}
		if now := s.api("admin", "PATCH", "/settings/invitations", `{"expiry_hours":48,"version":0}`, 200); now["expiry_hours"] != float64(48) || now["version"] != float64(1) {
			t.Errorf("changed: %v", now)
		}
		s.api("admin", "PATCH", "/settings/invitations", `{"expiry_hours":72,"version":0}`, 409)
		s.api("admin", "PATCH", "/settings/invitations", `{"expiry_hours":0}`, 400)
		s.api("viewer", "GET", "/settings/invitations", "", 403)

		body := s.want(s.do("viewer", "GET", "/console/acme/invitations?state=pending", nil), http.StatusOK)
		if strings.Count(body, `<th scope="row">`) != 4 || strings.Contains(body, "Many addresses") {
			t.Errorf("the list shows %d", strings.Count(body, `<th scope="row">`))
		}
		s.want(s.do("admin", "GET", "/console/acme/invitations?state=odd", nil), http.StatusBadRequest)
	})
}

// A program sees the mail before it is sent, and does not send twice what somebody has just sent.
func TestTheAPIPreviewsAndLooksFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		got := s.api("admin", "POST", "/invitations/preview", `{"email":"ada@example.com","given_name":"Ada","note":"See <b>you</b>"}`, 200)
		if !strings.Contains(got["text"].(string), "Bea Boss writes: See <b>you</b>") || !strings.Contains(got["html"].(string), "See &lt;b&gt;you&lt;/b&gt;") || got["to"] != "ada@example.com" || len(s.mails) != 0 {
			t.Errorf("the preview: %v", got)
		}
		s.api("admin", "POST", "/invitations/preview", `{"email":"ada@"}`, 400)
		s.api("viewer", "POST", "/invitations/preview", `{"email":"ada@example.com"}`, 403)
		made := s.invite("ada@example.com")
		at := "/invitations/" + string(made.InvitationID) + "/resend"
		s.api("admin", "POST", at, `{"sent":1}`, 200)
		s.api("admin", "POST", at, `{"sent":1}`, 409)
		s.api("admin", "POST", at, `{}`, 200)
	})
}
