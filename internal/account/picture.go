package account

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	_ "image/gif" // the first frame
	"image/jpeg"
	_ "image/png"
	"io"
	"net/http"

	_ "golang.org/x/image/webp"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// A picture is a file from a stranger, so it is never served as it came: its size and
// pixels are bounded before it is decoded, and what is kept is drawn anew from its
// pixels. Nothing else of it, such as where it was taken, is in there.

const (
	maxPicture = 5 << 20    // bytes of the file
	maxPixels  = 24_000_000 // about 100 MB when decoded, a WebP with transparency 160
	maxSide    = 12_000
	side       = 256 // of the square that is kept
)

// drawing lets one picture be decoded at a time: that bounds the memory.
var drawing = make(chan struct{}, 1)

// square makes a square of side pixels out of a PNG, JPEG, GIF or WebP: its middle, turned as
// the camera says, on white. Faults: Invalid on "picture".
func square(file []byte) ([]byte, error) {
	c, format, err := image.DecodeConfig(bytes.NewReader(file))
	if name := otherFormat(file); name != "" && (err != nil || format == "webp") {
		return nil, fault.Invalid.On("picture", "That is a picture in the format %s, which cannot be read here. Save it as PNG or JPEG, or take a screenshot of it, and choose that file.", name)
	}
	if err != nil {
		return nil, fault.Invalid.On("picture", "That is not a picture that can be read here. Take a PNG, JPEG, WebP or GIF file.")
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels {
		return nil, fault.Invalid.On("picture", "The picture has %d times %d pixels. At most %d million are possible: make it smaller.", c.Width, c.Height, maxPixels/1_000_000)
	}
	drawing <- struct{}{}
	defer func() { <-drawing }()
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fault.Invalid.On("picture", "The picture is damaged. Take another file, or save it once more.")
	}
	turned := 1
	switch format {
	case "jpeg":
		turned = orientation(file)
	case "webp":
		turned = orientationIn(bytes.TrimPrefix(riffPart(file, "EXIF"), []byte("Exif\x00\x00")))
	}
	var out bytes.Buffer
	err = jpeg.Encode(&out, draw(img, turned), &jpeg.Options{Quality: 88})
	return out.Bytes(), err
}

// otherFormat names a format of pictures that is common and cannot be read here; empty: it
// is none of them.
func otherFormat(file []byte) string {
	switch head := file[:min(len(file), 512)]; {
	case len(head) > 20 && string(head[:4]) == "RIFF" && string(head[8:16]) == "WEBPVP8X" && head[20]&2 != 0:
		return "animated WebP"
	case len(head) > 11 && string(head[4:12]) == "ftypavif":
		return "AVIF"
	case len(head) > 11 && (string(head[4:10]) == "ftyphe" || string(head[4:11]) == "ftypmif"):
		return "HEIC"
	case bytes.HasPrefix(head, []byte("II*\x00")), bytes.HasPrefix(head, []byte("MM\x00*")):
		return "TIFF"
	case bytes.HasPrefix(head, []byte("BM")):
		return "BMP"
	case bytes.HasPrefix(head, []byte("%PDF")):
		return "PDF"
	case bytes.Contains(head, []byte("<svg")):
		return "SVG"
	}
	return ""
}

// draw samples the middle of img, four by four points for each pixel at most.
func draw(img image.Image, turned int) *image.RGBA {
	b := img.Bounds()
	edge := min(b.Dx(), b.Dy())
	left, top := b.Min.X+(b.Dx()-edge)/2, b.Min.Y+(b.Dy()-edge)/2
	points := max(1, min(4, edge/side))
	to := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			var r, g, bl, n uint32
			for i := range points * points {
				fx := (x*points + i%points) * edge / (side * points)
				fy := (y*points + i/points) * edge / (side * points)
				fx, fy = upright(fx, fy, edge, turned)
				pr, pg, pb, pa := img.At(left+fx, top+fy).RGBA()
				white := 0xffff - pa
				r, g, bl, n = r+(pr+white)>>8, g+(pg+white)>>8, bl+(pb+white)>>8, n+1
			}
			to.SetRGBA(x, y, color.RGBA{uint8(r / n), uint8(g / n), uint8(bl / n), 255})
		}
	}
	return to
}

// upright says which point of the picture as stored is at (x, y) of it as seen; turned is
// the orientation of EXIF 2.32 §4.6.4 A, from 1 to 8.
func upright(x, y, edge, turned int) (int, int) {
	last := edge - 1
	switch turned {
	case 2:
		return last - x, y
	case 3:
		return last - x, last - y
	case 4:
		return x, last - y
	case 5:
		return y, x
	case 6:
		return y, last - x
	case 7:
		return last - y, last - x
	case 8:
		return last - y, x
	}
	return x, y
}

// orientation reads how the camera was held out of a JPEG's EXIF part; 1 when it says
// nothing, or nothing that can be read.
func orientation(file []byte) int {
	for at := 2; at+4 <= len(file) && file[at] == 0xff && file[at+1] != 0xda; {
		size := int(binary.BigEndian.Uint16(file[at+2:]))
		end := at + 2 + size
		if size < 2 || end > len(file) {
			return 1
		}
		if part := file[at+4 : end]; file[at+1] == 0xe1 && bytes.HasPrefix(part, []byte("Exif\x00\x00")) {
			return orientationIn(part[6:])
		}
		at = end
	}
	return 1
}

// riffPart is the content of a part of a WebP file; nil when it has none.
func riffPart(file []byte, name string) []byte {
	for at := 12; at+8 <= len(file); {
		size := int(binary.LittleEndian.Uint32(file[at+4:]))
		if size < 0 || size > len(file)-at-8 {
			return nil
		}
		if string(file[at:at+4]) == name {
			return file[at+8 : at+8+size]
		}
		at += 8 + size + size&1
	}
	return nil
}

func orientationIn(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int(order.Uint32(tiff[4:]))
	if at < 8 || at+2 > len(tiff) {
		return 1
	}
	count := int(order.Uint16(tiff[at:]))
	for i := range count {
		entry := at + 2 + 12*i
		if entry+12 > len(tiff) {
			return 1
		}
		if order.Uint16(tiff[entry:]) == 0x0112 {
			if v := int(order.Uint16(tiff[entry+8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
	}
	return 1
}

// takePicture reads the file of the form. Faults: Invalid on "picture".
func takePicture(r *http.Request) ([]byte, error) {
	file, _, err := r.FormFile("picture")
	if err != nil {
		return nil, fault.Invalid.On("picture", "Choose a file.")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPicture+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPicture {
		return nil, fault.Invalid.On("picture", "The file is larger than %d MB. Make the picture smaller.", maxPicture>>20)
	}
	return square(data)
}

func (a *Account) setPicture(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, maxPicture+(64<<10))
	f, err := web.ReadForm(r)
	if fault.Is(err, fault.Invalid) {
		err = fault.Invalid.On("picture", "The file is larger than %d MB. Make the picture smaller.", maxPicture>>20)
	}
	var drawn []byte
	if err == nil {
		drawn, err = takePicture(r)
	}
	if err != nil && f.Take(err) {
		return a.writeProfile(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.Self()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO pictures (org_id, user_id, etag, image, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (org_id, user_id) DO UPDATE SET etag = excluded.etag, image = excluded.image, updated_at = excluded.updated_at`,
			tx.Org(), u.ID, secret.Hash(string(drawn))[:16], drawn, tx.Now()); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "user.picture", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName})
	})
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Your picture is saved."))
	return see(w, r, "/account/profile")
}

func (a *Account) removePicture(w http.ResponseWriter, r *http.Request) error {
	return a.takeBack(w, r, "user.picture.remove", web.T(r, "Your picture is removed."), func(tx *store.Tx, me store.UserID) (int64, error) {
		return tx.Exec("DELETE FROM pictures WHERE org_id = ? AND user_id = ?", tx.Org(), me)
	})
}

// Pictures are the versions of these people's pictures, of those who have one.
func Pictures(tx *store.Tx, users []store.UserID) (map[store.UserID]string, error) {
	list, err := jsonIDs(users)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		ID   store.UserID `db:"user_id"`
		Etag string       `db:"etag"`
	}
	if err := tx.Select(&rows, "SELECT user_id, etag FROM pictures WHERE org_id = ? AND user_id {{in_ids}}", tx.Org(), list); err != nil {
		return nil, err
	}
	out := make(map[store.UserID]string, len(rows))
	for _, p := range rows {
		out[p.ID] = p.Etag
	}
	return out, nil
}

func (a *Account) ownPicture(w http.ResponseWriter, r *http.Request) error {
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	return a.servePicture(w, r, actor.Org, store.UserID(actor.ID))
}

// pictureOf is somebody's, for the console.
func (a *Account) pictureOf(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	return a.servePicture(w, r, web.OrgOf(r).ID, id)
}

func (a *Account) servePicture(w http.ResponseWriter, r *http.Request, org string, user store.UserID) error {
	var row struct {
		Etag  string `db:"etag"`
		Image []byte `db:"image"`
	}
	err := a.opts.DB.Read(r.Context(), access.Muster(org), func(tx *store.Tx) error {
		return tx.Get(&row, "SELECT etag, image FROM pictures WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", `"`+row.Etag+`"`)
	h.Set("Cache-Control", "private, no-cache") // kept, and asked for each time
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", "inline; filename=picture.jpg")
	if r.Header.Get("If-None-Match") == `"`+row.Etag+`"` {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "image/jpeg")
	_, err = w.Write(row.Image)
	return err
}
