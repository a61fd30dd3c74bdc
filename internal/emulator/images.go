package emulator

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unique"
)

// image is a picture that was uploaded: of a user, or the logo of an organization.
type image struct {
	Type    string `json:"type"` // such as image/png
	Content []byte `json:"content"`
}

// maxImage is the size of the largest picture, in bytes: Clerk's 10 MB.
const maxImage = 10_000_000

// readImage reads an uploaded picture: a file, or its base64 text, with or without the beginning of
// a data URL. The type is found in the content, whatever the upload says.
func readImage(content []byte, encoded bool) (image, error) {
	if encoded {
		text := string(bytes.TrimSpace(content))
		if strings.HasPrefix(text, "data:") {
			_, text, _ = strings.Cut(text, ",")
		}
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return image{}, fail(http.StatusBadRequest, "request_body_invalid", "Image decode error",
				"The image could not be decoded. Please ensure the image is valid and try again.")
		}
		content = decoded
	}
	switch {
	case len(content) == 0:
		return image{}, fail(http.StatusBadRequest, "form_param_missing", "Image file missing", "There was no image file present in the request").about("file")
	case len(content) > maxImage:
		return image{}, fail(http.StatusRequestEntityTooLarge, "image_too_large", "Image too large",
			"The image being uploaded is more than 10MB. Please choose a smaller one.")
	}
	kind := http.DetectContentType(content)
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return image{kind, bytes.Clone(content)}, nil
	}
	return image{}, fail(http.StatusBadRequest, "request_body_invalid", "Unsupported image type",
		"'"+kind+"' images are not currently supported. Please consult the API documentation for more information.")
}

// keepImage keeps a picture under a new id, and returns its URL. The URL is below the address at
// which the request reached the emulator, so that the browser of the one who uploads can load it.
func (e *Emulator) keepImage(r *http.Request, i image) string {
	id := e.random.id("img")
	e.images[id] = i
	e.changed = true
	if r.Host == "" { // a call of this process
		return e.Issuer + imagePath + id
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + imagePath + id
}

// forgetImage deletes the picture at a URL, if it was uploaded.
func (e *Emulator) forgetImage(at string) { delete(e.images, imageID(at)) }

const imagePath = "/images/"

// imageID returns the id of an uploaded picture, or an empty text for other URLs.
func imageID(at string) string {
	_, id, _ := strings.Cut(at, imagePath)
	return id
}

// serveImage serves an uploaded picture to anyone, as Clerk does.
func (e *Emulator) serveImage(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	i, found := e.images[r.PathValue("id")]
	e.mu.Unlock()
	if !found {
		e.answer(w, nil, fail(http.StatusNotFound, "image_not_found", "Image not found", "Image not found"))
		return
	}
	header := w.Header()
	header.Set("Content-Type", i.Type)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Set("Cache-Control", "public, max-age=31536000, immutable") // another picture has another id
	_, _ = w.Write(i.Content)
}

// placeholder returns the picture of someone who has none: initials on a colour that depends on the
// id. It is a data URL, so that it needs no network and stays the same whatever the emulator's
// address is. Clerk's components take a URL that contains avatar_placeholder for a default picture.
func placeholder(id string, names ...string) string {
	hue := 0
	for _, b := range []byte(id) {
		hue = (hue*31 + int(b)) % 360
	}
	parts := placeholderParts()
	return unique.Make(parts[0] + strconv.Itoa(hue/30*30) + parts[1] + initials(names) + parts[2]).Value() // shared: there are few
}

// placeholderParts returns the data URL before, between and after the hue and the initials. What
// would end a data URL is escaped, and what browsers would complain about in one.
var placeholderParts = sync.OnceValue(func() []string {
	const svg = `<svg xmlns='http://www.w3.org/2000/svg' id='avatar_placeholder' viewBox='0 0 80 80'><path fill='hsl(|,42%,42%)' d='M0 0h80v80H0z'/>` +
		`<text x='40' y='52' fill='white' font-family='sans-serif' font-size='34' text-anchor='middle'>|</text></svg>`
	escape := strings.NewReplacer("%", "%25", "<", "%3C", ">", "%3E", "#", "%23", " ", "%20")
	return strings.Split("data:image/svg+xml,"+escape.Replace(svg), "|")
})

// initials returns the first letters of up to two names. Others than letters and digits of ASCII
// become a dot, so that there are few pictures.
func initials(names []string) string {
	var text strings.Builder
	for _, name := range names {
		first, _ := utf8.DecodeRuneInString(strings.ToUpper(strings.TrimSpace(name)))
		switch {
		case first >= 'A' && first <= 'Z' || first >= '0' && first <= '9':
			text.WriteRune(first)
		case first != utf8.RuneError:
			text.WriteRune('·')
		}
	}
	if text.Len() == 0 {
		return "·"
	}
	return text.String()
}

// setPicture gives a user a picture, or the placeholder for nil. The one before is deleted.
func (e *Emulator) setPicture(r *userRecord, request *http.Request, i *image) (any, error) {
	e.forgetImage(r.ImageURL)
	return e.rewrite(r, func(next *userRecord, _ int64) {
		if next.HasImage = i != nil; next.HasImage {
			next.ImageURL = e.keepImage(request, *i)
			next.ProfileImageURL = next.ImageURL
		}
		next.depict()
	})
}

// setLogo gives an organization a logo, or the placeholder for nil. The one before is deleted.
func (e *Emulator) setLogo(o *Organization, request *http.Request, i *image) *Organization {
	e.forgetImage(o.ImageURL)
	if o.HasImage = i != nil; o.HasImage {
		o.ImageURL = e.keepImage(request, *i)
	}
	o.depict()
	return e.touched(o)
}
