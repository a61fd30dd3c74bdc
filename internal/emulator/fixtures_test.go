package emulator_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/yamlfile"
)

const teamFile = "testdata/fixtures/team.yaml"

func fixtures(t testing.TB, path string) *emulator.Fixtures {
	t.Helper()
	f, err := emulator.ReadFixtures(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFixtures(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Fixtures: fixtures(t, teamFile)})
	for path, want := range map[string]string{
		"/v1/users/user_ada": `{"username": "ada_l", "first_name": "Ada", "last_name": "Lovelace", "external_id": "crm-1", "locale": "en-GB",
			"password_enabled": true, "totp_enabled": true, "backup_code_enabled": true, "two_factor_enabled": true,
			"public_metadata": {"role": "growth", "plan": "pro", "n": 1.5, "tags": ["a", "b"]}, "private_metadata": {"note": "no"},
			"unsafe_metadata": {"theme": "dark"}, "delete_self_enabled": false, "create_organizations_limit": 3, "created_at": 1738324800000,
			"email_addresses": [{"email_address": "ada@example.com", "verification": {"status": "verified"}}, {"email_address": "ada@acme.example"}],
			"phone_numbers": [{"phone_number": "+15555550100", "verification": {"status": "verified"}}]}`,
		"/v1/users?email_address=eve@example.com": `[{"banned": true, "password_enabled": true, "id": "user_2aKVLQFCLbMKN3Jl2esVDY6Ppc4"}]`,
		"/v1/users?username=locked_lena":          `[{"locked": true}]`,
		"/v1/organizations/org_acme?include_members_count=true": `{"slug": "acme---co", "created_by": "user_ada", "members_count": 3,
			"max_allowed_memberships": 5, "public_metadata": {"tier": "gold"}}`,
		"/v1/organizations/globex/memberships": `{"total_count": 1, "data": [{"role": "org:member", "permissions": ["org:deals:read", "org:sys_memberships:read"],
			"public_user_data": {"user_id": "user_ada"}}]}`,
		"/v1/organizations/org_acme/memberships?order_by=%2Bcreated_at": `{"total_count": 3, "data": [{"role": "org:member"},
			{"role": "org:growth", "role_name": "Growth", "public_metadata": {"desk": 3}}, {"role": "org:admin", "public_user_data": {"user_id": "user_ada"}}]}`,
		"/v1/organizations/org_acme/invitations?order_by=%2Bcreated_at": `{"total_count": 2, "data": [{"email_address": "carol@example.com", "role": "org:member"},
			{"email_address": "dan@example.com", "role": "org:growth", "inviter_id": "user_ada"}]}`,
		"/v1/organizations/org_acme/domains":      `{"total_count": 2}`,
		"/v1/organization_permissions/perm_write": `{"key": "org:deals:write", "name": "org:deals:write", "description": "Change deals", "type": "user"}`,
		"/v1/organization_roles?query=growth":     `{"total_count": 1, "data": [{"key": "org:growth", "name": "Growth"}]}`,
		"/v1/invitations?order_by=%2Bcreated_at":  `[{"email_address": "zoe@example.com"}, {"email_address": "yan@example.com", "public_metadata": {"role": "solo"}}]`,
		"/v1/jwt_templates":                       `[{"name": "backend", "lifetime": 90, "signing_algorithm": "RS256"}, {"name": "hasura", "signing_algorithm": "HS256"}]`,
		"/v1/machines?order_by=name": `{"total_count": 2, "data": [{"id": "mch_api", "scoped_machines": []}, {"default_token_ttl": 60,
			"scoped_machines": [{"id": "mch_api"}]}]}`,
		"/v1/machines/mch_api/secret_key":                `{"secret": "ak_of_the_api"}`,
		"/v1/api_keys?subject=user_ada":                  `{"total_count": 1, "data": [{"name": "Reports", "scopes": ["deals:read"], "claims": {"tier": "gold"}, "revoked": false}]}`,
		"/v1/api_keys/ak_worker":                         `{"name": "Of a machine", "expiration": null}`,
		"/v1/oauth_applications?order_by=%2Bname":        `{"total_count": 2, "data": [{"client_id": "desk", "scopes": "profile", "consent_screen_enabled": false}, {"public": true}]}`,
		"/v1/instance/oauth_application_settings":        `{"dynamic_oauth_client_registration": true, "oauth_jwt_access_tokens": false, "default_scopes": ["profile", "deals:read"]}`,
		"/_emulator/state":                               `{"counts": {"users": 4, "organizations": 2, "memberships": 4, "invitations": 2, "domains": 2, "sessions": 0}}`,
		"/_emulator/faults":                              `{"api": {"slow_for": "250ms"}}`,
		"/v1/environment?__clerk_api_version=2026-05-12": `{"auth_config": {"single_session_mode": false, "username": "on"}}`,
	} {
		header := []string{}
		if strings.HasPrefix(path, "/v1/environment") { // of the Frontend API
			header = []string{"Authorization", ""}
		}
		a := c.do("GET", path, nil, header...)
		var have, expected any
		decode(t, a.body, &have)
		decode(t, []byte(want), &expected)
		if missing := contains(have, expected, ""); a.status != 200 || missing != "" {
			t.Errorf("GET %s: %d %s\n%s", path, a.status, missing, a.body)
		}
	}
}

// contains returns the path at which a value lacks something that is expected, or an empty text.
func contains(have, want any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		object, _ := have.(map[string]any)
		for name, x := range want {
			if missing := contains(object[name], x, path+"."+name); missing != "" {
				return missing
			}
		}
		return ""
	case []any:
		list, _ := have.([]any)
		if len(list) != len(want) {
			return fmt.Sprintf("%s has %d items", path, len(list))
		}
		for i, x := range want {
			if missing := contains(list[i], x, fmt.Sprintf("%s[%d]", path, i)); missing != "" {
				return missing
			}
		}
		return ""
	}
	if x, y := fmt.Sprint(have), fmt.Sprint(want); x != y {
		return fmt.Sprintf("%s is %s, want %s", path, x, y)
	}
	return ""
}

// The same file, in whichever form and with whichever seed, makes the same objects with the same
// ids. A reset returns to them.
func TestFixturesAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(teamFile)
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := yaml.Unmarshal(body, &content); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := emulator.ParseFixtures("team.json", encoded)
	if err != nil {
		t.Fatal(err)
	}
	clock := regexp.MustCompile(`"[a-z_]+":(1[78]\d{11}|"[^"]*ticket=[^"]*")`) // times, and tickets
	objects := func(c *clerk) map[string]string {
		all := map[string]string{}
		for _, kind := range []string{"users", "organizations", "organization_memberships", "organization_invitations", "organization_domains"} {
			for _, o := range c.list("/v1/" + kind + "?limit=100") {
				delete(o, "lockout_expires_in_seconds")
				text, _ := json.Marshal(o)
				all[o["id"].(string)] = clock.ReplaceAllString(string(text), "")
			}
		}
		for _, kind := range []string{"organization_roles", "organization_permissions", "invitations", "jwt_templates"} {
			for i, o := range c.list("/v1/" + kind + "?limit=100") {
				if !strings.Contains(fmt.Sprint(o["key"]), "sys_") && o["key"] != "org:admin" && o["key"] != "org:member" { // ids by the seed
					all[fmt.Sprint(kind, i)] = o["id"].(string)
				}
			}
		}
		return all
	}
	one := newClerk(t, emulator.Options{Fixtures: fixtures(t, teamFile)})
	two := newClerk(t, emulator.Options{Seed: 99, Fixtures: asJSON})
	start := objects(one)
	if other := objects(two); !maps.Equal(start, other) || len(start) != 4+2+4+2+2+1+2+2+2 {
		t.Errorf("%d objects in YAML, %d in JSON", len(start), len(other))
		for id, object := range start {
			if other[id] != object {
				t.Errorf("%s\n%s\nis in JSON\n%s", id, object, other[id])
				break
			}
		}
	}
	view := one.view()
	one.faults(emulator.Faults{Drop: 1})
	for _, id := range ids(one.list("/v1/users")) {
		one.call("DELETE", "/v1/users/"+id, nil)
	}
	for _, id := range ids(one.list("/v1/organizations")) {
		one.call("DELETE", "/v1/organizations/"+id, nil)
	}
	one.call("POST", "/_emulator/reset", nil)
	for path, now := range one.view() {
		if !strings.Contains(path, "users") && now != view[path] { // the lock of a user begins anew
			t.Errorf("after the reset %s is %s, before %s", path, now, view[path])
		}
	}
	if !maps.Equal(objects(one), start) || one.Faults().Drop != 0 || one.Faults().API.SlowFor == 0 {
		t.Errorf("after the reset there is %v, faults %+v", objects(one), one.Faults())
	}
}

// People sign in with the passwords of the file, also after a reset and a restart.
func TestFixturePasswords(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Fixtures: fixtures(t, teamFile)})
	for i := range 2 {
		if !emulator.PasswordMatches(c.Emulator, "user_ada", "correct horse") || emulator.PasswordMatches(c.Emulator, "user_ada", "wrong horse") {
			t.Errorf("round %d: the password of the file does not count", i)
		}
		c.call("POST", "/_emulator/reset", nil)
	}
	file := filepath.Join(t.TempDir(), "state.json")
	if err := c.Save(file); err != nil {
		t.Fatal(err)
	}
	if body, _ := os.ReadFile(file); strings.Contains(string(body), "correct horse") {
		t.Error("the state has a password in plain text")
	}
}

func TestFixturesReportEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	got := ""
	_, err := emulator.ReadFixtures("testdata/fixtures/wrong.yaml")
	if err != nil {
		got = err.Error() + "\n"
	}
	want, err := os.ReadFile("testdata/fixtures/wrong.txt")
	if os.Getenv("UPDATE") != "" {
		err = os.WriteFile("testdata/fixtures/wrong.txt", []byte(got), 0o600)
	}
	if err != nil || got != string(want) {
		t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, want)
	}
	if _, err := emulator.ReadFixtures("testdata/no.yaml"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
	name := newClerk(t, emulator.Options{Users: 1}).list("/v1/users")[0]["email_addresses"].([]any)[0].(object)["email_address"].(string)
	f, err := emulator.ParseFixtures("f", []byte("users: [{email_addresses: ["+name+"]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := emulator.New(emulator.Options{Seed: seed, Users: 1, Fixtures: f}); err == nil || !strings.Contains(err.Error(), "users[0]") {
		t.Errorf("an address of a seeded user: %v", err)
	}
}

// A reset to ten thousand users takes milliseconds.
func BenchmarkReset(b *testing.B) {
	var text strings.Builder
	text.WriteString("users:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {email_addresses: [u%d@example.com], password: password-%d, first_name: F%d, public_metadata: {n: %d}}\n", i, i, i, i)
	}
	text.WriteString("organizations:\n  - name: Acme\n    members:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "      - u%d@example.com\n", i)
	}
	f, err := emulator.ParseFixtures("many.yaml", []byte(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	c := newClerk(b, emulator.Options{Fixtures: f})
	for b.Loop() {
		c.Reset(b.Context())
	}
	if n := c.call("GET", "/v1/users/count", nil)["total_count"]; n != 10000.0 {
		b.Errorf("%v users", n)
	}
}

// The published schema describes the fields of the file: all, no others, and of the same types.
func TestFixturesSchema(t *testing.T) {
	t.Parallel()
	var schema object
	decode(t, emulator.FixturesSchema, &schema)
	if wrong := compareSchema(schema, schema, reflect.TypeFor[emulator.FixtureFile](), ""); len(wrong) > 0 {
		t.Error(strings.Join(wrong, "\n"))
	}
}

// compareSchema returns where a schema differs from a type.
func compareSchema(root, schema object, of reflect.Type, path string) (wrong []string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = root["$defs"].(object)[strings.TrimPrefix(ref, "#/$defs/")].(object)
	}
	if text, _ := schema["description"].(string); text == "" && path != "" && !strings.HasSuffix(path, "[]") {
		wrong = append(wrong, path+" is not described")
	}
	if either, ok := schema["anyOf"].([]any); ok { // a text, or an object
		if _, takesText := reflect.TypeAssert[yamlfile.Text](reflect.New(of)); !takesText || len(either) != 2 || either[0].(object)["type"] != "string" {
			wrong = append(wrong, path+" is not a text or an object")
		}
		schema = either[1].(object)
	}
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	kind := map[reflect.Kind]string{
		reflect.Struct: "object", reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer",
		reflect.Float64: "number", reflect.Int64: "string", // durations
	}[of.Kind()]
	if schema["type"] != kind {
		wrong = append(wrong, fmt.Sprintf("%s is %v, not %s", path, schema["type"], kind))
	}
	switch of.Kind() {
	case reflect.Slice:
		wrong = append(wrong, compareSchema(root, schema["items"].(object), of.Elem(), path+"[]")...)
	case reflect.Struct:
		properties, _ := schema["properties"].(object)
		if schema["additionalProperties"] != false {
			wrong = append(wrong, path+" takes other fields")
		}
		described := maps.Clone(properties)
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if property, ok := properties[name].(object); ok {
				wrong = append(wrong, compareSchema(root, property, field.Type, path+"."+name)...)
			} else {
				wrong = append(wrong, path+"."+name+" is not in the schema")
			}
			delete(described, name)
		}
		for name := range described {
			wrong = append(wrong, path+"."+name+" is in the schema only")
		}
	default: // has no parts
	}
	return wrong
}

func FuzzFixtures(f *testing.F) {
	for _, name := range []string{teamFile, "testdata/fixtures/wrong.yaml"} {
		if body, err := os.ReadFile(name); err == nil {
			f.Add(string(body))
		}
	}
	f.Add("users: [{email_addresses: [{}]}, {username: x}, ~]\norganizations: [{members: [{}], invitations: [{}], domains: [{}]}]\nroles: [{}]\npermissions: [{}]")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 20_000 {
			t.Skip()
		}
		f, err := emulator.ParseFixtures("f", []byte(text))
		if err != nil {
			return
		}
		e, err := emulator.New(emulator.Options{Seed: seed, Fixtures: f, Workers: 1})
		if err != nil {
			t.Fatalf("the file was accepted, but the instance is not: %v", err)
		}
		e.Reset(t.Context())
		e.Close()
	})
}
