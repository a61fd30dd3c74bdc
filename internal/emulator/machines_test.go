package emulator_test

import (
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/clerksync/clerksync/internal/emulator"
)

// with makes a request with another secret key than that of the instance, and returns the object.
func (c *clerk) with(key, method, path string, body any) object {
	c.t.Helper()
	a := c.do(method, path, body, "Authorization", "Bearer "+key)
	if a.status/100 != 2 {
		c.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	var o object
	decode(c.t, a.body, &o)
	return o
}

// machine makes a machine that may send tokens to others, and returns its id and its secret key.
func (c *clerk) machine(name string, to ...string) (id, key string) {
	c.t.Helper()
	m := c.call("POST", "/v1/machines", object{"name": name, "scoped_machines": to})
	return m["id"].(string), m["secret_key"].(string)
}

// apiKey makes an API key of a subject, and returns its id and its secret.
func (c *clerk) apiKey(subject string, more object) (id, secret string) {
	c.t.Helper()
	body := object{"name": "Key of " + c.t.Name(), "subject": subject}
	maps.Copy(body, more)
	k := c.call("POST", "/v1/api_keys", body)
	return k["id"].(string), k["secret"].(string)
}

// machines calls every endpoint of machines and their tokens.
func (i *inspector) machines() {
	i.t.Helper()
	receiver := i.post("/machines", object{"name": "Receiver"})
	other := i.post("/machines", object{"name": "Other"})
	made := i.do("POST", "/v1/machines", object{"name": "Sender", "scoped_machines": []string{receiver}, "default_token_ttl": 60})
	sender := i.judged("POST", "/machines", made)
	var key struct {
		Secret string `json:"secret_key"`
	}
	decode(i.t, made.body, &key)
	i.ok("GET", "/machines?query=send&order_by=name", nil)
	i.ok("GET", "/machines/"+sender, nil)
	i.ok("PATCH", "/machines/"+sender, object{"name": "The sender"})
	i.ok("GET", "/machines/"+sender+"/secret_key", nil)
	i.post("/machines/"+sender+"/scopes", object{"to_machine_id": other})
	i.ok("DELETE", "/machines/"+sender+"/scopes/"+other, nil)

	order := func(body object) (token string) {
		a := i.do("POST", "/v1/m2m_tokens", body, "Authorization", "Bearer "+key.Secret)
		i.judged("POST", "/m2m_tokens", a)
		var made struct{ Token string }
		decode(i.t, a.body, &made)
		return made.Token
	}
	order(object{"token_format": "jwt", "claims": object{"a": 1}})
	token := order(object{"claims": object{"a": 1}, "seconds_until_expiration": 10.5})
	verified := i.post("/m2m_tokens/verify", object{"token": token})
	i.ok("GET", "/m2m_tokens?expired=true&revoked=true&subject="+sender, nil)
	i.post("/m2m_tokens/"+verified+"/revoke", object{"revocation_reason": "a test"})
	i.post("/machines/"+sender+"/secret_key/rotate", object{"previous_token_ttl": 60})
	i.ok("DELETE", "/machines/"+other, nil)

	user := i.post("/users", object{"username": "holder_of_keys"})
	keyed := i.do("POST", "/v1/api_keys", object{"name": "A key", "subject": user, "created_by": user, "scopes": []string{"deals:read"}, "claims": object{"n": 1}})
	api := i.judged("POST", "/api_keys", keyed)
	var secret struct{ Secret string }
	decode(i.t, keyed.body, &secret)
	i.post("/api_keys/verify", object{"secret": secret.Secret})
	i.ok("GET", "/api_keys?subject="+user, nil)
	i.ok("GET", "/api_keys/"+api, nil)
	i.ok("GET", "/api_keys/"+api+"/secret", nil)
	i.ok("PATCH", "/api_keys/"+strings.Replace(api, "ak_", "api_key_", 1), object{"description": "it has one", "seconds_until_expiration": 60})
	i.post("/api_keys/"+api+"/revoke", object{"revocation_reason": nil})
	i.ok("DELETE", "/api_keys/"+api, nil)
	i.applications(user)
}

// A key is verified with and without the version in the path, until it is revoked or expired.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	id, secret := c.apiKey(ada, object{"scopes": []string{"deals:read"}, "claims": object{"tier": "gold"}, "seconds_until_expiration": 3600})
	if !regexp.MustCompile(`^ak_[0-9a-f]{32}$`).MatchString(id) || !regexp.MustCompile(`^ak_[A-Za-z0-9+/]{43}=$`).MatchString(secret) {
		t.Errorf("the key is %s with the secret %s", id, secret)
	}
	for _, path := range []string{"/v1/api_keys/verify", "/api_keys/verify"} {
		k := c.call("POST", path, object{"secret": secret})
		if k["id"] != id || k["subject"] != ada || k["revoked"] != false || k["expired"] != false || k["secret"] != nil || k["claims"].(object)["tier"] != "gold" {
			t.Errorf("%s: %v", path, k)
		}
	}
	if k := c.call("GET", "/v1/api_keys/"+id, nil); k["last_used_at"] == nil || k["secret"] != nil {
		t.Errorf("the key shows %v", k)
	}
	if s := c.call("GET", "/api_keys/"+id+"/secret", nil); s["secret"] != secret {
		t.Errorf("the secret is %v", s)
	}
	c.Advance(2 * time.Hour)
	c.refused(404, "resource_not_found", "POST", "/v1/api_keys/verify", object{"secret": secret})
	if k := c.call("GET", "/v1/api_keys/"+id, nil); k["expired"] != true {
		t.Errorf("after its life: %v", k)
	}

	second, secret := c.apiKey(ada, object{"name": "another"})
	c.call("POST", "/v1/api_keys/"+second+"/revoke", object{"revocation_reason": "lost"})
	c.call("POST", "/v1/api_keys/"+second+"/revoke", object{"revocation_reason": "again"})
	c.refused(404, "resource_not_found", "POST", "/v1/api_keys/verify", object{"secret": secret})
	if got := ids(c.list("/v1/api_keys?subject=" + ada)); len(got) != 0 {
		t.Errorf("the valid keys are %v", got)
	}
	all := c.list("/v1/api_keys?include_invalid=true&subject=" + ada)
	if got := ids(all); !slices.Equal(got, []string{second, id}) || all[0]["revocation_reason"] != "lost" {
		t.Errorf("all keys are %v", all)
	}
	c.call("DELETE", "/v1/api_keys/"+id, nil)
	c.refused(404, "resource_not_found", "GET", "/v1/api_keys/"+id, nil)

	c.faults(emulator.Faults{API: emulator.APIFaults{Flagged: 1}})
	if k := c.call("POST", "/v1/api_keys/verify", object{"secret": secret}); k["revoked"] != true {
		t.Errorf("with the fault: %v", k)
	}
	c.refused(404, "resource_not_found", "POST", "/v1/api_keys/verify", object{"secret": "ak_unknown"})
}

func TestAPIKeyRefusals(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	id, _ := c.apiKey(ada, object{"name": "taken"})
	c.refused(409, "duplicate_record", "POST", "/v1/api_keys", object{"name": "taken", "subject": ada})
	for name, body := range map[string]object{
		"no name":              {"subject": ada},
		"a short name":         {"subject": ada, "name": "ab"},
		"spaces":               {"subject": ada, "name": " name"},
		"no subject":           {"name": "name"},
		"an unknown subject":   {"name": "name", "subject": "user_2aKVLQFCLbMKN3Jl2esVDY6Ppc4"},
		"a session":            {"name": "name", "subject": "sess_2aKVLQFCLbMKN3Jl2esVDY6Ppc4"},
		"a life of 0":          {"name": "name", "subject": ada, "seconds_until_expiration": 0},
		"a life too long":      {"name": "name", "subject": ada, "seconds_until_expiration": 1e30},
		"an unknown creator":   {"name": "name", "subject": ada, "created_by": "user_x"},
		"an unknown parameter": {"name": "name", "subject": ada, "colour": "red"},
		"a long description":   {"name": "name", "subject": ada, "description": strings.Repeat("x", 256)},
		"long claims":          {"name": "name", "subject": ada, "claims": strings.Repeat("x", 20_000)},
		"an empty scope":       {"name": "name", "subject": ada, "scopes": []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			(&clerk{c.Emulator, t, c.key}).refused(400, "bad_request", "POST", "/v1/api_keys", body)
		})
	}
	for _, path := range []string{"/v1/api_keys", "/v1/api_keys?limit=101&subject=" + ada, "/v1/api_keys?include_invalid=yes&subject=" + ada} {
		c.refused(400, "bad_request", "GET", path, nil)
	}
	c.call("POST", "/v1/api_keys/"+id+"/revoke", object{})
	c.refused(400, "bad_request", "PATCH", "/v1/api_keys/"+id, object{"seconds_until_expiration": 60})
	c.refused(401, "clerk_key_invalid", "POST", "/api_keys/verify", object{"secret": "ak_x"}, "Authorization", "Bearer sk_test_wrong")
	c.refused(401, "authentication_invalid", "POST", "/api_keys/verify", object{"secret": "ak_x"}, "Authorization", "")
	c.refused(501, "not_implemented", "POST", "/api_keys/verify/all", object{})
}

// A machine makes tokens with its own key. Those that are opaque reach the machines that it may
// send to at that time.
func TestM2MTokens(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	receiver, receiverKey := c.machine("receiver")
	_, strangerKey := c.machine("stranger")
	sender, key := c.machine("sender", receiver)
	made := c.with(key, "POST", "/m2m_tokens", object{"claims": object{"job": "sync"}})
	token, id := made["token"].(string), made["id"].(string)
	if !regexp.MustCompile(`^mt_[0-9a-f]{32}$`).MatchString(id) || !strings.HasPrefix(token, "mt_") || made["subject"] != sender {
		t.Errorf("the token is %v", made)
	}
	for _, path := range []string{"/m2m_tokens/verify", "/v1/m2m_tokens/verify"} {
		for _, by := range []string{receiverKey, c.key} {
			got := c.with(by, "POST", path, object{"token": token})
			if got["id"] != id || got["token"] != nil || got["scopes"].([]any)[0] != receiver || got["claims"].(object)["job"] != "sync" {
				t.Errorf("%s: %v", path, got)
			}
		}
		for _, by := range []string{strangerKey, key} {
			c.refused(404, "resource_not_found", "POST", path, object{"token": token}, "Authorization", "Bearer "+by)
		}
	}
	c.call("DELETE", "/v1/machines/"+sender+"/scopes/"+receiver, nil)
	c.with(receiverKey, "POST", "/m2m_tokens/verify", object{"token": token})
	later := c.with(key, "POST", "/m2m_tokens", object{})["token"]
	c.refused(404, "resource_not_found", "POST", "/m2m_tokens/verify", object{"token": later}, "Authorization", "Bearer "+receiverKey)

	for by, want := range map[string]int{key: 2, c.key: 2} {
		if got := c.with(by, "GET", "/m2m_tokens?subject="+sender, nil); got["total_count"] != float64(want) {
			t.Errorf("the tokens are %v", got)
		}
	}
	c.refused(403, "authorization_invalid", "GET", "/v1/m2m_tokens?subject="+sender, nil, "Authorization", "Bearer "+receiverKey)
	c.refused(404, "resource_not_found", "POST", "/v1/m2m_tokens/"+id+"/revoke", object{}, "Authorization", "Bearer "+receiverKey)
	c.with(key, "POST", "/v1/m2m_tokens/"+id+"/revoke", object{"revocation_reason": "done"})
	c.refused(404, "resource_not_found", "POST", "/m2m_tokens/verify", object{"token": token})
	c.Advance(2 * time.Hour) // the default life is one
	c.refused(404, "resource_not_found", "POST", "/m2m_tokens/verify", object{"token": later})
	if got := c.call("GET", "/m2m_tokens?revoked=true&expired=true&subject="+sender, nil)["total_count"]; got != 2.0 {
		t.Errorf("%v tokens with those that are not valid", got)
	}

	c.refused(403, "authorization_invalid", "POST", "/v1/m2m_tokens", object{})
	c.refused(401, "clerk_key_invalid", "GET", "/v1/users", nil, "Authorization", "Bearer "+key)
	c.refused(401, "clerk_key_invalid", "POST", "/v1/m2m_tokens", object{}, "Authorization", "Bearer ak_wrong")
	for _, body := range []object{{"token_format": "paper"}, {"min_remaining_ttl_seconds": 3600}, {"seconds_until_expiration": -1}, {"token_format": "jwt", "claims": 1}} {
		c.refused(400, "bad_request", "POST", "/v1/m2m_tokens", body, "Authorization", "Bearer "+key)
	}
}

// Clerk returns a token that exists if it lives long enough and is alike.
func TestM2MTokensAreReused(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	_, key := c.machine("sender")
	order := func(claims object) any {
		return c.with(key, "POST", "/m2m_tokens", object{"claims": claims, "min_remaining_ttl_seconds": 600})["token"]
	}
	first := order(object{"a": 1, "b": 2})
	if again := order(object{"b": 2, "a": 1}); again != first {
		t.Errorf("a token alike is %v, not %v", again, first)
	}
	if other := order(object{"a": 2}); other == first {
		t.Error("other claims got the same token")
	}
	c.Advance(55 * time.Minute)
	if late := order(object{"a": 1, "b": 2}); late == first {
		t.Error("a token that expires soon was reused")
	}
	if used := c.Usage()["m2m_token"]; used.Created != 3 {
		t.Errorf("%d were paid for, want 3", used.Created)
	}
}

// M2M tokens that are JWTs are signed by the key of the instance, and last by real time.
func TestM2MTokensAsJWT(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	sender, key := c.machine("sender")
	c.Advance(28 * time.Hour)
	made := c.with(key, "POST", "/v1/m2m_tokens", object{"token_format": "jwt", "claims": object{"sub": "user_other", "job": "sync"}})
	header, claims := c.verifiedJWT(made["token"].(string))
	if header["typ"] != "JWT" || header["cat"] != "cl_B7d4PD333AAA" || header["kid"] != c.Keys("").InstanceID {
		t.Errorf("the header is %v", header)
	}
	life := claims["exp"].(float64) - claims["iat"].(float64)
	if claims["sub"] != sender || claims["job"] != "sync" || claims["iss"] != c.Issuer || claims["jti"] != made["id"] || life != 3600 || claims["aud"] != nil {
		t.Errorf("the claims are %v", claims)
	}
	if at := time.Unix(int64(claims["iat"].(float64)), 0); time.Since(at) > time.Minute || time.Until(at) > time.Minute {
		t.Errorf("issued at %s", at)
	}
	if got := c.call("GET", "/m2m_tokens?subject="+sender, nil)["total_count"]; got != 0.0 {
		t.Errorf("%v JWTs are kept", got)
	}
	c.refused(404, "resource_not_found", "POST", "/m2m_tokens/verify", object{"token": made["token"]})
	old := c.call("POST", "/_emulator/m2m_tokens", object{"machine_id": sender, "token_format": "jwt", "expires_in_seconds": -60})
	if _, claims := c.verifiedJWT(old["token"].(string)); time.Unix(int64(claims["exp"].(float64)), 0).After(time.Now()) {
		t.Error("the ordered token has not expired")
	}
	opaque := c.call("POST", "/_emulator/m2m_tokens", object{"machine_id": sender, "expires_in_seconds": -60})
	c.refused(404, "resource_not_found", "POST", "/m2m_tokens/verify", object{"token": opaque["token"]})
}

// verifiedJWT returns the header and the claims of a JWT that another library verifies.
func (c *clerk) verifiedJWT(text string) (header, claims object) {
	c.t.Helper()
	key, err := sdk.JSONWebKeyFromPEM(c.Keys("").PEM)
	if err != nil {
		c.t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := parsed.Claims(key.Key, &claims); err != nil {
		c.t.Fatal(err)
	}
	read := readToken(c.t, text)
	return read.header, read.claims
}

func TestMachines(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	to, _ := c.machine("to")
	id, key := c.machine("from", to, to)
	if m := c.call("GET", "/v1/machines/"+id, nil); len(m["scoped_machines"].([]any)) != 1 || m["secret_key"] != nil || m["default_token_ttl"] != 3600.0 {
		t.Errorf("the machine is %v", m)
	}
	c.refused(409, "duplicate_record", "POST", "/v1/machines/"+id+"/scopes", object{"to_machine_id": to})
	c.refused(404, "resource_not_found", "POST", "/v1/machines/"+id+"/scopes", object{"to_machine_id": "mch_unknown"})
	c.refused(404, "resource_not_found", "DELETE", "/v1/machines/"+to+"/scopes/"+id, nil) // a scope has one direction
	for _, body := range []object{{"name": ""}, {"name": strings.Repeat("x", 256)}, {"name": "x", "default_token_ttl": 0}, {"name": "x", "scoped_machines": []string{"mch_unknown"}}} {
		c.refused(422, "form_param_value_invalid", "POST", "/v1/machines", body)
	}
	for _, body := range []object{{"previous_token_ttl": 28_801}, {"previous_token_ttl": -1}} {
		c.refused(422, "form_param_value_invalid", "POST", "/v1/machines/"+id+"/secret_key/rotate", body)
	}
	c.refused(422, "form_param_missing", "POST", "/v1/machines/"+id+"/secret_key/rotate", object{})
	rotated := c.call("POST", "/v1/machines/"+id+"/secret_key/rotate", object{"previous_token_ttl": 600})["secret"].(string)
	c.with(key, "POST", "/m2m_tokens", object{})
	c.with(rotated, "POST", "/m2m_tokens", object{})
	c.Advance(11 * time.Minute)
	c.refused(401, "clerk_key_invalid", "POST", "/m2m_tokens", object{}, "Authorization", "Bearer "+key)
	token := c.with(rotated, "POST", "/m2m_tokens", object{})["token"]
	c.call("DELETE", "/v1/machines/"+id, nil)
	c.refused(401, "clerk_key_invalid", "POST", "/m2m_tokens", object{}, "Authorization", "Bearer "+rotated)
	c.call("POST", "/m2m_tokens/verify", object{"token": token}) // Clerk does not say that it ends with the machine
}

// Calls that Clerk bills are counted, also those that it refuses, but not what a fault keeps from
// it.
func TestUsageIsCounted(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	_, secret := c.apiKey(c.user("ada@example.com"), nil)
	for range 3 {
		c.call("POST", "/v1/api_keys/verify", object{"secret": secret})
	}
	c.refused(404, "resource_not_found", "POST", "/api_keys/verify", object{"secret": "ak_junk"})
	c.refused(400, "bad_request", "POST", "/api_keys/verify", object{})
	c.faults(emulator.Faults{API: emulator.APIFaults{TooMany: 1}})
	c.refused(429, "too_many_requests", "POST", "/api_keys/verify", object{"secret": secret})
	c.faults(emulator.Faults{API: emulator.APIFaults{ServerError: 1}})
	if a := c.do("POST", "/v1/api_keys/verify", object{"secret": secret}); a.status < 500 {
		t.Errorf("in an outage: %d", a.status)
	}
	c.faults(emulator.Faults{})
	used := c.call("GET", "/_emulator/state", nil)["usage"].(object)["api_key"].(object)
	if used["created"] != 1.0 || used["verified"] != 4.0 || used["refused"] != 1.0 || used["usd"] != 0.00104 {
		t.Errorf("the usage is %v", used)
	}
	c.call("POST", "/_emulator/reset", nil)
	if got := c.Usage()["api_key"]; got != (emulator.TokenUsage{}) {
		t.Errorf("after a reset: %+v", got)
	}
}

// Clerk exempts the verification of keys and M2M tokens from its rate limit.
func TestVerificationIsNotLimited(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{RateLimit: 3})
	_, secret := c.apiKey(c.user("ada@example.com"), nil)
	for range 5 {
		c.call("POST", "/api_keys/verify", object{"secret": secret})
	}
	c.list("/v1/users")
	c.refused(429, "too_many_requests", "GET", "/v1/api_keys/ak_x", nil)
}

func TestMachinesOutliveARestart(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{WebhookSecret: webhookSecret})
	to, receiver := c.machine("to")
	from, key := c.machine("from", to)
	_, secret := c.apiKey(c.user("ada@example.com"), nil)
	token := c.with(key, "POST", "/m2m_tokens", object{})["token"]
	rotated := c.call("POST", "/v1/machines/"+from+"/secret_key/rotate", object{"previous_token_ttl": 600})["secret"].(string)
	c.call("POST", "/api_keys/verify", object{"secret": secret})
	file := filepath.Join(t.TempDir(), "state.json")
	c.save(file)
	d := restored(t, file)
	d.call("POST", "/api_keys/verify", object{"secret": secret})
	d.with(receiver, "POST", "/m2m_tokens/verify", object{"token": token})
	for _, k := range []string{key, rotated} {
		d.with(k, "POST", "/m2m_tokens", object{})
	}
	if m := d.call("GET", "/v1/machines/"+from, nil); len(m["scoped_machines"].([]any)) != 1 {
		t.Errorf("the machine is %v", m)
	}
	if got := d.Usage()["api_key"]; got.Created != 1 || got.Verified != 2 {
		t.Errorf("the usage is %+v", got)
	}
	for _, path := range []string{"/_emulator/state", "/v1/machines", "/v1/m2m_tokens?subject=" + from} {
		body := string(d.do("GET", path, nil).body)
		if strings.Contains(body, rotated) || strings.Contains(body, receiver) || strings.Contains(body, token.(string)) {
			t.Errorf("%s shows a secret", path)
		}
	}
	if a := d.do("GET", "/v1/machines", nil); a.status != http.StatusOK {
		t.Errorf("machines: %d", a.status)
	}
}
