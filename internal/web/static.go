package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

//go:embed static
var staticFiles embed.FS

type asset struct {
	name, kind string
	data       []byte
}

// assets by the name in the URL, which has the content's hash in it, so that
// browsers may keep a file for ever; staticNames by the plain name.
var assets, staticNames = loadStatic()

func loadStatic() (map[string]asset, map[string]string) {
	byURL, names := map[string]asset{}, map[string]string{}
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		data, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		byURL[name] = asset{name, mime.TypeByExtension(ext), data}
		names[e.Name()] = "/static/" + name
	}
	return byURL, names
}

func serveStatic(w http.ResponseWriter, r *http.Request) error {
	a, ok := assets[r.PathValue("file")]
	if !ok {
		return fault.NotFound.Say("There is no such file.")
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := w.Write(a.data)
	return err
}
