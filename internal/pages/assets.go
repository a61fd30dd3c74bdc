package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// Assets are files that pages use, by their names. Their addresses have their versions, so that
// browsers keep them for ever.
type Assets map[string]*asset

type asset struct {
	content, compressed []byte
	contentType         string
	version             string
}

// LoadAssets returns the assets that all pages share, and those in the folder "assets" of each file
// system. It panics if a folder cannot be read: it is embedded.
func LoadAssets(more ...fs.FS) Assets {
	assets := Assets{}
	for _, files := range append([]fs.FS{assetFiles}, more...) {
		assets.add(files)
	}
	return assets
}

func (a Assets) add(files fs.FS) {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // it is embedded
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for _, f := range entries {
		content, err := fs.ReadFile(files, "assets/"+f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		a[f.Name()] = &asset{content, compress(content), types[path.Ext(f.Name())], hex.EncodeToString(sum[:6])}
	}
}

func compress(content []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil || w.Close() != nil {
		panic("clerksync: pages: gzip") // a buffer takes everything
	}
	return out.Bytes()
}

// Address returns the address of an asset below a folder, which changes with its content.
func (a Assets) Address(folder, name string) string {
	return folder + "/" + name + "?v=" + a[name].version
}

// ServeHTTP serves the asset that the path value "name" names.
func (a Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := a[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", found.contentType)
	header.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == found.version {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	header.Set("Vary", "Accept-Encoding")
	content := found.content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		content = found.compressed
	}
	header.Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // it fails only when the browser is gone
}
