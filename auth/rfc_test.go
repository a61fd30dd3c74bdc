package auth

import (
	"errors"
	"testing"
)

// The examples of RFC 7515 appendix A and RFC 7520 section 4 (4.1 to 4.4 are among Wycheproof's
// vectors as well).
const (
	rfc7515Payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	rfc7515Secret  = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	rfc7515Modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL" +
		"-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS" +
		"-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFk" +
		"MLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
	rfc7515HS256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfc7515Payload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	rfc7515RS256 = "eyJhbGciOiJSUzI1NiJ9." + rfc7515Payload + "." +
		"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9" +
		"CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOL" +
		"n6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtV" +
		"rBp0igcN_IoypGlUPQGe77Rw"
	rfc7515ES256 = "eyJhbGciOiJFUzI1NiJ9." + rfc7515Payload +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	rfc7515None = "eyJhbGciOiJub25lIn0." + rfc7515Payload + "."

	rfc7520Secret  = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"
	rfc7520Header  = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9"
	rfc7520Payload = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm" +
		"9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3" +
		"ZXB0IG9mZiB0by4"
	rfc7520Signature = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"
)

// Of the examples of the RFCs, the verifier accepts RS256 and HS256 in compact serialization,
// and nothing else.
func TestRFCExamples(t *testing.T) {
	t.Parallel()
	secret := func(text string) KeySet {
		bytes, err := strictBase64.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := HMACKey(string(bytes))
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	set, err := parseJWKSet([]byte(`{"keys":[{"kty":"RSA","kid":"A.2","e":"AQAB","n":"` + rfc7515Modulus + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := StaticKey(set.keys["A.2"].key)
	for _, test := range []struct {
		name, token string
		keys        KeySet
		want        string // the reason of the refusal
	}{
		{"RFC 7515 A.1, HS256", rfc7515HS256, secret(rfc7515Secret), ""},
		{"RFC 7515 A.1, as RS256", rfc7515HS256, rsaKey, ReasonAlgorithm},
		{"RFC 7515 A.2, RS256", rfc7515RS256, rsaKey, ""},
		{"RFC 7515 A.2, as HS256", rfc7515RS256, secret(rfc7515Secret), ReasonAlgorithm},
		{"RFC 7515 A.2, in a set, without key id", rfc7515RS256, setKeys{set}, ReasonUnknownKey},
		{"RFC 7515 A.3, ES256", rfc7515ES256, rsaKey, ReasonAlgorithm},
		{"RFC 7515 A.5, none", rfc7515None, rsaKey, ReasonAlgorithm},
		{"RFC 7515 A.5, none, for HS256", rfc7515None, secret(rfc7515Secret), ReasonAlgorithm},
		{"RFC 7515 A.7, flattened JSON", `{"payload":"` + rfc7515Payload + `","protected":"eyJhbGciOiJSUzI1NiJ9","signature":"x"}`, rsaKey, ReasonMalformed},
		{"RFC 7520 4.4, HS256", rfc7520Header + "." + rfc7520Payload + "." + rfc7520Signature, secret(rfc7520Secret), ""},
		{"RFC 7520 4.4, another secret", rfc7520Header + "." + rfc7520Payload + "." + rfc7520Signature, secret(rfc7515Secret), ReasonSignature},
		{"RFC 7520 4.5, detached", rfc7520Header + ".." + rfc7520Signature, secret(rfc7520Secret), ReasonSignature},
		{"RFC 7797 4.1, b64 not protected by crit", "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2V9.$02.GsyM6AQJbQHY8aQKCbZSPJHzMRWo3HKIlcDuXof7nqs", secret(rfc7515Secret), ReasonMalformed},
	} {
		_, err := verifyJWS(t.Context(), test.keys, test.token, Session)
		var refusal *Error
		if got := errors.As(err, &refusal); got != (test.want != "") || got && refusal.Reason != test.want {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
