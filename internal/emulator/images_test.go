package emulator

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// onePixel is a GIF.
const onePixel = "GIF89a\x01\x00\x01\x00\x00\x00\x00;"

func TestReadImage(t *testing.T) {
	t.Parallel()
	inBase64 := base64.StdEncoding.EncodeToString([]byte(onePixel))
	for name, test := range map[string]struct {
		content string
		encoded bool
		want    string // the type, or the code of the error
	}{
		"a file":                {onePixel, false, "image/gif"},
		"base64":                {inBase64, true, "image/gif"},
		"a data URL":            {"data:image/gif;base64," + inBase64 + "\n", true, "image/gif"},
		"a wrong type is named": {"data:image/png;base64," + inBase64, true, "image/gif"},
		"no base64":             {"GIF89a", true, "request_body_invalid"},
		"nothing":               {"", false, "form_param_missing"},
		"an empty data URL":     {"data:image/png;base64,", true, "form_param_missing"},
		"SVG runs scripts":      {"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", false, "request_body_invalid"},
		"HTML":                  {"<!DOCTYPE html><script>alert(1)</script>", false, "request_body_invalid"},
		"as large as allowed":   {onePixel + strings.Repeat("x", maxImage-len(onePixel)), false, "image/gif"},
		"too large":             {onePixel + strings.Repeat("x", maxImage), false, "image_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, err := readImage([]byte(test.content), test.encoded)
			got := i.Type
			if failure, ok := errors.AsType[*APIError](err); ok {
				got = failure.Errors[0].Code
			} else if !strings.HasPrefix(string(i.Content), onePixel) {
				t.Errorf("it has the content %.30q", i.Content)
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// A picture is served until another one or the placeholder replaces it, also after a restart.
func TestPicturesAreServed(t *testing.T) {
	t.Parallel()
	e, err := New(Options{Seed: 1, Users: 1, Organizations: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	user, organization := e.users.created[0], e.organizations.all[0]
	for _, at := range []string{user.ImageURL, organization.ImageURL} {
		if !strings.HasPrefix(at, "data:image/svg+xml,") || !strings.Contains(at, "avatar_placeholder") || strings.ContainsAny(at, " <>#\"") {
			t.Errorf("the placeholder is %s", at)
		}
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:4010/v1/me/profile_image", nil)
	picture := &image{Type: "image/gif", Content: []byte(onePixel)}
	serve := func(e *Emulator, at string) (status int, content string) {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, at, nil))
		return w.Code, w.Header().Get("Content-Type") + w.Body.String()
	}
	if _, err := e.setPicture(user, request, picture); err != nil {
		t.Fatal(err)
	}
	e.setLogo(organization, request, picture)
	first := user.ImageURL
	if !user.HasImage || !organization.HasImage || first != user.ProfileImageURL || !strings.HasPrefix(first, "http://localhost:4010/images/img_") {
		t.Fatalf("%v %v %s %s", user.HasImage, organization.HasImage, first, user.ProfileImageURL)
	}
	for _, at := range []string{first, organization.ImageURL} {
		if status, content := serve(e, at); status != http.StatusOK || content != "image/gif"+onePixel {
			t.Errorf("%s: %d %q", at, status, content)
		}
	}
	if _, err := e.setPicture(user, request, picture); err != nil {
		t.Fatal(err)
	}
	if status, _ := serve(e, first); status != http.StatusNotFound {
		t.Errorf("a replaced picture: %d", status)
	}

	file := filepath.Join(t.TempDir(), "state")
	if err := e.Save(file); err != nil {
		t.Fatal(err)
	}
	again, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Load(file); err != nil {
		t.Fatal(err)
	}
	if status, content := serve(again, organization.ImageURL); status != http.StatusOK || content != "image/gif"+onePixel {
		t.Errorf("after a restart: %d %q", status, content)
	}
	e.setLogo(organization, request, nil)
	if status, _ := serve(e, organization.ImageURL); status == http.StatusOK || organization.HasImage || !strings.HasPrefix(organization.ImageURL, "data:") {
		t.Errorf("a removed logo: %d, %v, %.40s", status, organization.HasImage, organization.ImageURL)
	}
}
