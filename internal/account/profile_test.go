package account_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
)

func TestOwnProfile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy", FamilyName: "Stone", Department: "Sales"})
		b := s.signedIn("ivy@acme.example")
		const at = "/account/profile"
		b.want(b.get(at), 200, "")
		for _, bad := range []string{"a\x01b", "turned \u202e round", "\u200b\u3164", strings.Repeat("x", 10_000)} {
			got := b.post(at, "given_name", bad, "family_name", "Kept")
			b.want(got, 400, "")
			if !strings.Contains(got.body, `value="Kept"`) {
				t.Errorf("%.20q: what was typed is gone", bad)
			}
		}
		// What is not the person's own is not taken.
		b.want(b.post(at, "given_name", "Iva<b>", "family_name", "Stone", "display_name", "Iva S.", "title", "Lead", "email", "root@acme.example", "user_name", "root", "department", "IT"), 303, at)
		var u store.User
		read := func() store.Profile {
			t.Helper()
			if err := s.db.Read(context.Background(), acme, func(tx *store.Tx) (err error) { u, err = tx.User(ivy); return err }); err != nil {
				t.Fatal(err)
			}
			return u.Profile()
		}
		want := store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Iva<b>", FamilyName: "Stone", DisplayName: "Iva S.", Title: "Lead", Department: "Sales"}
		if got := read(); got != want {
			t.Errorf("profile %+v, want %+v", got, want)
		}
		if got := s.activities(acme, "user.update"); len(got) != 1 || got[0].ActorID != string(ivy) {
			t.Errorf("recorded %+v", got)
		}
		if page := b.get(at); strings.Contains(page.body, "Iva<b>") {
			t.Error("markup in a name is shown as markup")
		}
		// An administrator was faster: what was typed stays, and can be saved over it.
		opened := webtest.Version(b.get(at).body)
		b.want(b.post(at, "title", "Head", "version", opened), 303, at)
		late := b.post(at, "title", "Chief", "version", opened)
		b.want(late, 409, "")
		if !strings.Contains(late.body, "Your profile was changed meanwhile") || !strings.Contains(late.body, `value="Chief"`) || read().Title != "Head" {
			t.Errorf("somebody else was faster: title %q\n%s", read().Title, late.body)
		}
		b.want(b.post(at, "title", "Lead", "version", webtest.Version(late.body)), 303, at)
		// What sign-ins fill, or an administrator keeps, is shown and not asked for.
		for _, c := range []struct {
			by   account.Filled
			says string
		}{{account.Filled{Attr: "emails", Connection: "Okta Main"}, "Each sign-in over Okta Main fills your address. It is changed there"},
			{account.Filled{Attr: "emails", Locked: true}, "An administrator keeps your address as it is."}} {
			s.filled = []account.Filled{c.by}
			if page := b.get(at); !strings.Contains(page.body, c.says) || strings.Contains(page.body, `name="email"`) {
				t.Errorf("%+v: %s", c.by, page.body)
			}
			if got := b.post("/account/address", "email", "iva@home.example", "proof", good); got.status != 409 || !strings.Contains(got.body, c.says) {
				t.Errorf("%+v: moved with %d", c.by, got.status)
			}
		}
		s.filled = []account.Filled{{Attr: "title", Connection: "Okta Main"}, {Attr: "displayName", Locked: true}}
		page := b.get(at)
		if strings.Contains(page.body, `name="title"`) || !strings.Contains(page.body, "Each sign-in over Okta Main fills it.") || strings.Contains(page.body, `name="display_name"`) {
			t.Errorf("filled attributes: %s", page.body)
		}
		if got := b.post(at, "title", "Boss"); got.status != 403 || read().Title != "Lead" {
			t.Errorf("a filled attribute was changed: %d", got.status)
		}
	})
}

// A directory's word is final: what it manages is shown with its name and cannot be
// changed, also by a form made by hand.
func TestProfileOfAManagedPerson(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy"})
		err := s.db.Write(context.Background(), acme, func(tx *store.Tx) error {
			d, err := tx.CreateDirectory(store.Directory{Name: "Okta Main", Vendor: "okta", Mode: "compat"})
			if err != nil {
				return err
			}
			_, err = tx.Exec("UPDATE users SET directory_id = ? WHERE org_id = ? AND id = ?", d.ID, tx.Org(), ivy)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b := s.signedIn("ivy@acme.example")
		page := b.get("/account/profile")
		if !strings.Contains(page.body, "The directory Okta Main of your organization manages") || strings.Contains(page.body, `name="given_name"`) || strings.Contains(page.body, `name="email"`) {
			t.Errorf("profile: %s", page.body)
		}
		if got := b.post("/account/profile", "given_name", "Eve"); got.status != 403 || !strings.Contains(got.body, "managed by the directory Okta Main") {
			t.Errorf("changed: %d %s", got.status, got.body)
		}
		if got := b.post("/account/address", "email", "eve@acme.example", "proof", good); got.status != 409 {
			t.Errorf("moved: %d", got.status)
		}
		if !strings.Contains(page.body, "Your address comes from the directory Okta Main. It is changed there") {
			t.Error("the profile does not say where the address is changed")
		}
		b.want(b.post("/account/preferences", "theme", "dark"), 303, "/account/preferences") // which are the person's own
	})
}

// upload posts a file as a form does.
func (b *browser) upload(path string, file []byte) answer {
	b.s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("picture", "../../<b>.png")
	if err != nil {
		b.s.t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		b.s.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		b.s.t.Fatal(err)
	}
	r, err := http.NewRequest("POST", b.s.url+path, &body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.read(r)
}

// drawn is a picture whose left half is red and whose right half is blue.
func drawn(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{255, 0, 0, 255}
			if x >= w/2 {
				c = color.RGBA{0, 0, 255, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func pngOf(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withEXIF puts a camera's note into a JPEG: which way up, and a word that must not stay.
func withEXIF(t *testing.T, img image.Image, turned uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	tiff := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, turned)
	tiff = append(tiff, "\x00\x00\x00\x00\x00\x00GPS 52.5 13.4"...)
	part := append([]byte("Exif\x00\x00"), tiff...)
	head := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(part)+2))
	return append(append(append([]byte{0xff, 0xd8}, head...), part...), b.Bytes()[2:]...)
}

// webPs are what drawn(300, 300) is as WebP, as Chromium writes it: with and without loss, and
// with an alpha channel, transparent (thus white) in the lowest ten rows on the right.
var webPs = map[string]string{
	"lossy":    "UklGRlgBAABXRUJQVlA4IEwBAADQGwCdASosASwBPtFosFKoJiSiocgBABoJaW7hd1vADQS/ir+IDOAP4BlAH6AADbWNB6jbzVrV4qsaD7e+9mx5cZ4p4ZHAfv8KmWTK3orGg92YnTlDO7MUDZ7ZlVX+nn1WNB7sxP9mNYxQFwx0gvwGXGeGOkGR8VWIWTK3orGg92YnTlDO7MUBcMdIEjEGqgtSExeKqr/Tz6rGiGH3Zh+l4Gg92YoC4Y05cZ4Y6QX4qsZP+nn1WNCH3ZidOUM7sxQN3PDHORiDVQWpBfiqxCyZW9FY0HuzE6coZ3ZigM5VQWTlxnhjo2AA/v+fKr7nb97R2//oSPV9W+2ExT8m2tnZerfMX9Rv/+nc2wKfP/+O5tg/Vg//Jt8psp16NnPAGkWYZNtbOyMQ8Y2eQnXtgh31D67GeGNzLhA6R8OEDpH9FIBBZD+ikAgshwAAAA==",
	"lossless": "UklGRjIAAABXRUJQVlA4TCUAAAAvK8FKAA8Q87//8x8OCLJtanZ/qmE8ov9RVVVVVQMAwP2/GPcfAA==",
	"alpha":    "UklGRtIBAABXRUJQVlA4WAoAAAAQAAAAKwEAKwEAQUxQSCIAAAABDzD/ERHCTARCGoikfyqrM/30Ivo/Ae7k/Df/fb6E5FUBVlA4IIoBAAAwHQCdASosASwBPtFosVIoJqSiopsIAQAaCWdu4XaxEJ2f4wfjMzkn+AZQB+gAAzn018CrkEXtoTZ5mPpr4frCYpfH+bM3k+pg07eviIPpr4iC09ZaE2eZv9CbMsHWEIqHEnfMzFp6y0Js8zH018DCEUIqG/FnmY9HKNjfizzeT6mrxqRQhFQ34s8yt7aPT6E2eZj6YNO3r4iD65tXMre2j0+hN12NMbJadvXxEH018RBaestCbPMx9NfAwhFCKhvyChFQvlQRx5mY+mviHb20en0Js8zH0wadvXxEH1zauZWKkaWPtHjfTu7OSdd8A6D2AAD+/z5Vf+54yAmOf//0JKGHRvtiwunp6enp6elBKtS0Q3//TwfvalF//08H73+EV//5NvlY8z2ZSz1YNtcBp54Zp54YJBCrlDUrRwBzlUE2gQEsOtYQDOKoJtAgJYdawgGciXF3C9nf+HMVD+6xq/j5a6LZPPv7HJin+XFzYX9yWACd5SpL/gaevY8nIJ59+GLIYshbAAAA",
}

func webP(t *testing.T, name string) []byte {
	t.Helper()
	file, err := base64.StdEncoding.DecodeString(webPs[name])
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// webPWith is the one without loss, in the long form of the format: with these bits, a size of
// 400 million pixels if it should lie, and a camera's note.
func webPWith(t *testing.T, bits byte, lie bool, turned uint16) []byte {
	t.Helper()
	size := []byte{300 - 256 - 1, 1, 0, 300 - 256 - 1, 1, 0}
	if lie {
		size = []byte{0x1f, 0x4e, 0, 0x1f, 0x4e, 0}
	}
	tiff := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = append(binary.BigEndian.AppendUint16(tiff, turned), "\x00\x00\x00\x00\x00\x00GPS 52.5 13.4.."...)
	parts := append([]byte("VP8X\x0a\x00\x00\x00"), bits, 0, 0, 0)
	parts = append(append(parts, size...), webP(t, "lossless")[12:]...)
	parts = append(binary.LittleEndian.AppendUint32(append(parts, "EXIF"...), uint32(len(tiff))), tiff...)
	return append(append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(parts)+4)), "WEBP"...), parts...)
}

// vast is a PNG that says it has more pixels than any memory holds.
func vast() []byte {
	head := []byte("IHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00")
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(head))
}

func TestPictures(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy", FamilyName: "Stone"})
		s.addUser(acme, "boss@acme.example", good)
		b, admin := s.signedIn("ivy@acme.example"), s.signedIn("boss@acme.example")
		if page := b.get("/account/profile"); !strings.Contains(page.body, ">IS</span>") {
			t.Error("no initials in the place of a picture")
		}
		if got := b.get("/account/picture"); got.status != 404 {
			t.Errorf("no picture: %d", got.status)
		}
		for name, c := range map[string]struct {
			file []byte
			why  string
		}{
			"text": {[]byte("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), "the format SVG"}, "nothing": {nil, "not a picture"}, "words": {[]byte("hello"), "not a picture"},
			"WebP cut off": {[]byte("RIFF\x24\x00\x00\x00WEBPVP8 "), "not a picture"}, "half a WebP": {webP(t, "lossy")[:200], "damaged"}, "moving WebP": {webPWith(t, 2, false, 1), "the format animated WebP"},
			"vast WebP": {webPWith(t, 0, true, 1), "20000 times 20000"}, "iPhone": {[]byte("\x00\x00\x00\x24ftypheic\x00\x00\x00\x00"), "the format HEIC"},
			"AVIF": {[]byte("\x00\x00\x00\x20ftypavif\x00\x00\x00\x00"), "the format AVIF"}, "scan": {[]byte("II*\x00\x08\x00\x00\x00"), "the format TIFF"},
			"paint": {[]byte("BM\x00\x00"), "the format BMP"}, "paper": {[]byte("%PDF-1.7"), "the format PDF"}, "cut off": {[]byte("RIFF"), "not a picture"},
			"too many pixels": {vast(), "65535 times 65535"}, "half": {pngOf(t, drawn(40, 40))[:80], "damaged"}, "huge": {make([]byte, 6<<20), "larger than 5 MB"},
		} {
			if got := b.upload("/account/picture", c.file); got.status != 400 || !strings.Contains(got.body, c.why) {
				t.Errorf("%s: %d, want %q", name, got.status, c.why)
			}
		}
		for name, c := range map[string]struct {
			file []byte
			left color.RGBA // of the middle of the left side
			top  color.RGBA // of the middle of the upper side, left of it
		}{
			"wide": {pngOf(t, drawn(900, 300)), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}}, "tiny": {pngOf(t, drawn(2, 2)), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
			"WebP": {webP(t, "lossy"), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}}, "WebP without loss": {webP(t, "lossless"), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
			"WebP with alpha": {webP(t, "alpha"), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}}, "WebP mirrored": {webPWith(t, 8, false, 2), color.RGBA{0, 0, 255, 255}, color.RGBA{0, 0, 255, 255}},
			"mirrored":      {withEXIF(t, drawn(300, 300), 2), color.RGBA{0, 0, 255, 255}, color.RGBA{0, 0, 255, 255}},
			"turned":        {withEXIF(t, drawn(300, 300), 6), color.RGBA{}, color.RGBA{255, 0, 0, 255}},
			"unknown turn":  {withEXIF(t, drawn(300, 300), 77), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
			"upside down":   {withEXIF(t, drawn(300, 300), 3), color.RGBA{0, 0, 255, 255}, color.RGBA{0, 0, 255, 255}},
			"turned back":   {withEXIF(t, drawn(300, 300), 8), color.RGBA{}, color.RGBA{0, 0, 255, 255}},
			"other way":     {withEXIF(t, drawn(300, 300), 4), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
			"transposed":    {withEXIF(t, drawn(300, 300), 5), color.RGBA{}, color.RGBA{255, 0, 0, 255}},
			"transversed":   {withEXIF(t, drawn(300, 300), 7), color.RGBA{}, color.RGBA{0, 0, 255, 255}},
			"without notes": {withEXIF(t, drawn(300, 300), 1), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
		} {
			b.want(b.upload("/account/picture", c.file), 303, "/account/profile")
			got := b.raw("/account/picture")
			img, format, err := image.Decode(bytes.NewReader(got.body))
			if err != nil || format != "jpeg" || img.Bounds().Dx() != 256 || img.Bounds().Dy() != 256 || bytes.Contains(got.body, []byte("GPS")) || bytes.Contains(got.body, []byte("Exif")) {
				t.Fatalf("%s: %s %v, %v", name, format, img, err)
			}
			if c.left.A != 0 && !near(img.At(20, 128), c.left) || !near(img.At(60, 10), c.top) {
				t.Errorf("%s: left %v, top %v, want %v and %v", name, img.At(20, 128), img.At(60, 10), c.left, c.top)
			}
		}
		got := b.raw("/account/picture")
		for name, want := range map[string]string{"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"} {
			if have := got.header.Get(name); have != want {
				t.Errorf("%s: %q, want %q", name, have, want)
			}
		}
		if again := b.raw("/account/picture", "If-None-Match", got.header.Get("ETag")); again.status != 304 || len(again.body) != 0 {
			t.Errorf("the same version: %d, %d bytes", again.status, len(again.body))
		}
		at := "/console/acme/users/" + string(ivy) + "/picture"
		if got := admin.raw(at); got.status != 200 {
			t.Errorf("an admin sees it: %d", got.status)
		}
		if got := b.raw(at); got.status != 403 {
			t.Errorf("a member sees it in the console: %d", got.status)
		}
		b.want(b.post("/account/picture/remove"), 303, "/account/profile")
		b.want(b.post("/account/picture/remove"), 303, "/account/profile")
		if got := b.raw("/account/picture"); got.status != 404 {
			t.Errorf("removed: %d", got.status)
		}
		if n := len(s.activities(acme, "user.picture.remove")); n != 1 {
			t.Errorf("%d removals recorded", n)
		}
	})
}

func near(c color.Color, want color.RGBA) bool {
	r, g, b, _ := c.RGBA()
	far := func(a uint32, b uint8) bool { d := int(a>>8) - int(b); return d > 60 || d < -60 }
	return !far(r, want.R) && !far(g, want.G) && !far(b, want.B)
}

type rawAnswer struct {
	status int
	header http.Header
	body   []byte
}

// raw gets what is no page.
func (b *browser) raw(path string, header ...string) rawAnswer {
	b.s.t.Helper()
	r, err := http.NewRequest("GET", b.s.url+path, nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.c.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return rawAnswer{resp.StatusCode, resp.Header, body}
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site, acme access.Actor) {
		ivy := s.addMember(acme, store.Profile{UserName: "ivy@acme.example", Email: "ivy@acme.example", GivenName: "Ivy"})
		b := s.signedIn("ivy@acme.example")
		const at = "/account/preferences"
		b.want(b.get(at), 200, "")
		for _, c := range [][2]string{{"language", "tlh"}, {"time_zone", "Mars/Olympus"}, {"theme", "pink"}, {"signature", strings.Repeat("x", 2001)}, {"signature", "a\u202eb"}, {"signature", "\u200b\n\u3164"}} {
			got := b.post(at, c[0], c[1], "new_device", "on")
			b.want(got, 400, "")
			if !strings.Contains(got.body, `href="#f-`+c[0]+`"`) {
				t.Errorf("%s: %s", c[0], got.body)
			}
		}
		signature := "Ivy Stone\n<b>Acme</b> & Co"
		b.want(b.post(at, "language", "de", "time_zone", "Europe/Berlin", "theme", "dark", "signature", signature, "changed", "on"), 303, at)
		page := b.get(at)
		for _, part := range []string{`lang="de"`, `data-theme="dark"`, "&lt;b&gt;Acme&lt;/b&gt; &amp; Co"} {
			if !strings.Contains(page.body, part) {
				t.Errorf("the page lacks %s", part)
			}
		}
		var n account.Notifications
		err := s.db.Read(context.Background(), acme, func(tx *store.Tx) (err error) { n, err = account.NotificationsOf(tx, ivy); return err })
		if err != nil || n != (account.Notifications{Password: true, Notices: true}) {
			t.Errorf("notifications %+v, %v: a member is not asked about notices for admins", n, err)
		}
		s.signedIn("ivy@acme.example") // another browser
		if told := s.written(); len(told) != 0 {
			t.Errorf("mails although the person wants none: %q", told)
		}
		b.want(b.post(at, "language", "de", "new_device", "on"), 303, at)
		s.signedIn("ivy@acme.example")
		if told := s.written(); len(told) != 1 {
			t.Errorf("mails %q", told)
		}
		b.want(b.post("/login", "email", "ivy@acme.example", "password", good), 303, "/account")
		if told := s.written(); len(told) != 1 {
			t.Errorf("a browser that is known is told of again: %q", told)
		}
	})
}
