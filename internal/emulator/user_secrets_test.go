package emulator_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

func TestBackendVerifiesSecrets(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Workers: 1})
	ada := c.made("/v1/users", object{
		"email_address": []string{"ada@example.com"}, "phone_number": []string{"+15555550100"}, "password": "correct horse",
		"totp_secret": totpSecret, "backup_codes": []string{"11111111", "22222222"},
	})
	grace, base := c.user("grace@example.com"), "/v1/users/"+ada
	verified := func(what string, body object) any {
		t.Helper()
		return c.call("POST", base+"/verify_"+what, body)["verified"]
	}
	code := func(kind any) object { return object{"code": kind} }
	if verified("password", object{"password": "correct horse"}) != true || verified("totp", code(emulator.TOTPCode(totpSecret, time.Now()))) != true {
		t.Error("right secrets are not verified")
	}
	if got := c.call("POST", base+"/verify_totp", code("11111111")); got["code_type"] != "backup_code" {
		t.Errorf("a backup code is verified as %v", got)
	}
	c.refused(422, "totp_incorrect_code", "POST", base+"/verify_totp", code("11111111")) // it is used up
	c.refused(422, "incorrect_password", "POST", base+"/verify_password", object{"password": "wrong horse"})
	c.refused(400, "no_password_set", "POST", "/v1/users/"+grace+"/verify_password", object{"password": "correct horse"})
	c.refused(400, "totp_disabled", "POST", "/v1/users/"+grace+"/verify_totp", code("22222222"))

	phone := c.call("GET", base, nil)["phone_numbers"].([]any)[0].(object)["id"].(string)
	c.call("PATCH", "/v1/phone_numbers/"+phone, object{"reserved_for_second_factor": true})
	s := c.signIn(ada, object{})
	c.call("DELETE", base+"/totp", nil)
	if u := c.call("GET", base, nil); u["totp_enabled"] != false || u["two_factor_enabled"] != true {
		t.Errorf("without TOTP, with a number as second factor: %v", u)
	}
	c.call("DELETE", base+"/mfa", nil)
	u := c.call("POST", base+"/remove_password", object{})
	if u["two_factor_enabled"] != false || u["backup_code_enabled"] != false || u["mfa_disabled_at"] == nil || u["password_enabled"] != false {
		t.Errorf("without any: %v", u)
	}
	if got := c.call("GET", "/v1/sessions/"+s, nil)["status"]; got != "active" {
		t.Errorf("the session is %v", got)
	}
	c.call("POST", base+"/remove_password", object{"sign_out_of_other_sessions": true})
	if got := c.call("GET", "/v1/sessions/"+s, nil)["status"]; got != "revoked" {
		t.Errorf("the session is %v", got)
	}
	c.refused(422, "invalid_totp_secret_code", "PATCH", base, object{"totp_secret": "no secret!"})
}

// A backend that has its own pages verifies an address by a code that people read in the inbox.
func TestBackendVerifiesAddresses(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"username": "ada_l"})
	for path, to := range map[string]string{"/v1/email_addresses": "ada@example.com", "/v1/phone_numbers": "+4915199887766"} {
		field := map[bool]string{true: "email_address", false: "phone_number"}[strings.Contains(to, "@")]
		at := path + "/" + c.made(path, object{"user_id": ada, field: to})
		status := func() any {
			v, _ := c.call("GET", at, nil)["verification"].(object)
			return v["status"]
		}
		verification := c.made(at+"/prepare_verification", nil)
		code := c.Inbox()[0].Code
		attempt := func(code string) any {
			t.Helper()
			return c.call("POST", at+"/attempt_verification", object{"verification_id": verification, "code": code})["status"]
		}
		if got := attempt("x" + code); got != "unverified" || status() != nil {
			t.Errorf("%s: a wrong code makes it %v, the address %v", to, got, status())
		}
		if got := attempt(code); got != "verified" || status() != "verified" {
			t.Errorf("%s: the right code makes it %v, the address %v", to, got, status())
		}
		c.refused(400, "verification_already_verified", "POST", at+"/attempt_verification", object{"verification_id": verification, "code": code})
		c.refused(404, "resource_not_found", "POST", at+"/attempt_verification", object{"verification_id": "ver_x", "code": code})
		verification = c.made(at+"/prepare_verification", nil)
		c.Advance(time.Hour)
		if got := attempt(c.Inbox()[0].Code); got != "expired" || status() != "verified" {
			t.Errorf("%s: after an hour it is %v, the address %v", to, got, status())
		}
	}
}

func TestAddressesOfUsers(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada, grace := c.user("ada@example.com"), c.user("grace@example.com")
	get := func() object { return c.call("GET", "/v1/users/"+ada, nil) }
	first := get()["primary_email_address_id"].(string)
	c.refused(400, "identification_deletion_failed", "DELETE", "/v1/email_addresses/"+first, nil)
	c.refused(422, "form_verification_needed", "POST", "/v1/email_addresses", object{"user_id": ada, "email_address": "b@example.com", "primary": true})
	c.refused(422, "form_identifier_exists", "POST", "/v1/email_addresses", object{"user_id": ada, "email_address": "GRACE@example.com"})
	second := c.made("/v1/email_addresses", object{"user_id": ada, "email_address": "b@example.com", "verified": true, "primary": true, "notify_primary_email_address_changed": true})
	if get()["primary_email_address_id"] != second {
		t.Errorf("the primary address is %v", get()["primary_email_address_id"])
	}
	if mails := c.Inbox(); len(mails) != 1 || mails[0].To != "ada@example.com" || mails[0].Slug != "primary_email_address_changed" {
		t.Errorf("the inbox has %v", mails)
	}
	c.call("DELETE", "/v1/email_addresses/"+second, nil)
	if get()["primary_email_address_id"] != first {
		t.Errorf("after its deletion the primary address is %v", get()["primary_email_address_id"])
	}
	c.refused(404, "resource_not_found", "GET", "/v1/email_addresses/"+second, nil)
	c.refused(404, "resource_not_found", "GET", "/v1/phone_numbers/"+first, nil)

	c.made("/v1/phone_numbers", object{"user_id": ada, "phone_number": "+15555550100", "verified": true, "reserved_for_second_factor": true})
	if get()["two_factor_enabled"] != true {
		t.Error("a number as second factor is none")
	}
	got := c.call("PUT", "/v1/users/"+ada+"/phone_number", object{"phone_number": "+15555550101", "identification_status": "reserved"})
	if got["reserved"] != true || got["verification"] != nil || get()["two_factor_enabled"] != false || len(get()["phone_numbers"].([]any)) != 1 {
		t.Errorf("replaced: %v in %v", got, get())
	}
	c.refused(422, "form_identifier_exists", "PUT", "/v1/users/"+ada+"/email_address", object{"email_address": "grace@example.com"})
	c.refused(422, "form_param_value_invalid", "PUT", "/v1/users/"+ada+"/email_address", object{"email_address": "c@example.com", "identification_status": "x"})
	c.call("PUT", "/v1/users/"+ada+"/email_address", object{"email_address": "ada@example.com"}) // the own one
	if e := get()["email_addresses"].([]any); len(e) != 1 || e[0].(object)["id"] == first || get()["primary_email_address_id"] != e[0].(object)["id"] {
		t.Errorf("after a replacement: %v", e)
	}
	c.refused(422, "form_identifier_exists", "POST", "/v1/users", object{"email_address": []string{"twice@example.com", "Twice@example.com"}})
	c.refused(422, "form_identifier_exists", "POST", "/v1/email_addresses", object{"user_id": ada, "email_address": "ada@example.com"})
	mine := c.made("/v1/email_addresses", object{"user_id": ada, "email_address": "shared@example.com"}) // unverified, it is nobody's
	theirs := c.made("/v1/email_addresses", object{"user_id": grace, "email_address": "shared@example.com"})
	c.call("PATCH", "/v1/email_addresses/"+theirs, object{"verified": true})
	c.refused(422, "form_identifier_exists", "PATCH", "/v1/email_addresses/"+mine, object{"verified": true})
	c.call("PATCH", "/v1/users/"+ada, object{"first_name": "Ada"}) // other changes are still possible
	c.call("DELETE", "/v1/email_addresses/"+mine, nil)
	c.refused(422, "form_identifier_exists", "POST", "/v1/users", object{"email_address": []string{"shared@example.com"}}) // it is still theirs

	reserved := c.call("POST", "/v1/users", object{
		"email_address": []string{"x@example.com", "y@example.com"}, "email_address_identification_status": []string{"reserved", "verified"},
	})["email_addresses"].([]any)
	if a, b := reserved[0].(object), reserved[1].(object); a["reserved"] != true || a["verification"] != nil || b["reserved"] != false || b["verification"] == nil {
		t.Errorf("created as reserved and as verified: %v, %v", a, b)
	}
	c.call("DELETE", "/v1/users/"+grace, nil)
	c.call("PUT", "/v1/users/"+ada+"/email_address", object{"email_address": "grace@example.com"}) // free again
}

func TestBackendUploadsPictures(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	upload := func(method, path, field, content string) answer {
		body := "--x\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"a\"\r\n\r\n" + content + "\r\n--x--\r\n"
		return c.do(method, path, body, "Content-Type", "multipart/form-data; boundary=x")
	}
	const gif = "GIF89a\x01\x00\x01\x00\x00\x00\x00;"
	for path, method := range map[string]string{
		"/v1/users/" + ada + "/profile_image": "POST", "/v1/organizations/" + c.organization("Acme", ada) + "/logo": "PUT",
	} {
		var shown struct {
			ImageURL string `json:"image_url"`
			HasImage bool   `json:"has_image"`
		}
		decode(t, upload(method, path, "file", gif).body, &shown)
		at, err := url.Parse(shown.ImageURL)
		if err != nil || !shown.HasImage {
			t.Fatalf("%s: %+v %v", path, shown, err)
		}
		if got := c.do("GET", at.Path, nil); string(got.body) != gif || got.header.Get("Content-Type") != "image/gif" {
			t.Errorf("GET %s: %d %q", at.Path, got.status, got.body)
		}
		for name, a := range map[string]answer{
			"400 no file": upload(method, path, "picture", gif), "400 no picture": upload(method, path, "file", "<svg/>"),
			"413 too large": upload(method, path, "file", gif+strings.Repeat("x", 12<<20)), "400 no form": c.do(method, path, object{}),
		} {
			if want := strings.HasPrefix(name, "413"); (a.status == 413) != want || !want && a.status != 400 {
				t.Errorf("%s: %s: %d %s", path, name, a.status, a.body)
			}
		}
		decode(t, c.do("DELETE", path, nil).body, &shown)
		if got := c.do("GET", at.Path, nil); shown.HasImage || got.status != 404 {
			t.Errorf("%s: deleted, it is %+v, and its picture %d", path, shown, got.status)
		}
	}
	// a large body of another kind is refused before it is read
	if a := c.do("POST", "/v1/users", `{"username":"`+strings.Repeat("x", 2<<20)+`"}`); a.status != 413 {
		t.Errorf("a large user: %d", a.status)
	}
}
