package telemetry

import (
	"regexp"
	"strings"
)

// secretForm matches what is a secret, or personal, by its form. Where an
// address could begin earlier or later it takes more: a log line that hides too
// much is read with effort, one that hides too little cannot be taken back.
var secretForm = regexp.MustCompile(strings.Join([]string{
	`eyJ[\w+/=-]{8,}(?:\.[\w-]*)*`, // JSON Web Token, whole or cut; other JSON in base64, too
	`[sr]k_(?:test|live)_[\w-]+`,   // Clerk secret key
	`\b(?:ak|mt|oat)_[\w-]{16,}`,   // Clerk API key, machine token, OAuth access token
	`whsec_[\w+/=-]+`,              // webhook secret
	`\bcso_[\w-]{16,}`,             // token of an operator
	`//[^\s"'<>/@]*:[^\s"<>]*@`,    // user and password in a URL, also in one too broken to parse
	`//[^\s"'<>/]+@`,               // user or token in a URL
	`(?:"[^"]*"|[^\s"(),:;<>@\[\\\]]+)` + // local part of an e-mail address (RFC 5322 atom or quoted),
		`(?:@|%40)(?:[\pL\pN-]+\.)+\pL[\pL\pN-]*`, // its domain ends in a word: module@v1.2.3 is no address
}, "|"))

// mask hides what matches secretForm.
func mask(s string) (clean string, changed bool) {
	if !suspicious(s) {
		return s, false
	}
	clean = secretForm.ReplaceAllLiteralString(s, redacted)
	return clean, clean != s
}

// suspicious reports, at much less cost, whether s can match secretForm.
func suspicious(s string) bool {
	if strings.IndexByte(s, '@') >= 0 || strings.Contains(s, "eyJ") || strings.Contains(s, "%40") {
		return true
	}
	for {
		before, after, found := strings.Cut(s, "_")
		if !found {
			return false
		}
		for _, prefix := range [...]string{"sk", "rk", "ak", "mt", "oat", "whsec", "cso"} {
			if strings.HasSuffix(before, prefix) {
				return true
			}
		}
		s = after
	}
}

// secretKey reports whether a key names a secret or personal data, in any case and style:
// Authorization, svix-signature, access_token, phoneNumbers, APIKey. Names of a property of the
// thing, such as key_id and key_ids, do not.
func secretKey(key string) bool {
	for _, property := range [...]string{"id", "ids", "count", "type", "status"} {
		if n := len(key) - len(property); n > 0 && strings.EqualFold(key[n:], property) && wordStart(key, n) {
			return false
		}
	}
	for i := range len(key) {
		if namesSecret(key[i:]) {
			return true
		}
	}
	return false
}

// namesSecret reports whether rest begins with the name of a secret: long names
// anywhere, short ones only where a word ends.
func namesSecret(rest string) bool {
	begins := func(term string) bool { return len(rest) >= len(term) && strings.EqualFold(rest[:len(term)], term) }
	ends := func(term string) bool { return begins(term) && wordEnd(rest, len(term)) }
	switch rest[0] | 0x20 { // lower case, of a letter
	case 'a':
		return begins("authorization")
	case 'b':
		return begins("bearer")
	case 'c':
		return begins("cookie") || begins("credential") || begins("csrf")
	case 'd':
		return ends("dsn")
	case 'e':
		return begins("email") || ends("e_mail") || ends("e-mail")
	case 'f':
		return begins("first_name") || begins("firstname") || begins("full_name") || begins("fullname")
	case 'j':
		return begins("jwt")
	case 'k':
		return ends("key") || ends("keys")
	case 'l':
		return begins("last_name") || begins("lastname")
	case 'm':
		return begins("metadata")
	case 'o':
		return ends("otp")
	case 'p':
		return begins("passw") || begins("passphrase") || begins("passcode") || begins("phone") || ends("pem")
	case 's':
		return begins("secret") || begins("signature") || ends("sig")
	case 't':
		return begins("token") || begins("ticket")
	default:
		return false
	}
}

// wordEnd reports whether a word of key may end before position i: at the end, a separator or a
// capital.
func wordEnd(key string, i int) bool { return i >= len(key) || !lower(key[i]) }

// wordStart reports whether a word of key may start at position i > 0: after a separator, or in
// camelCase.
func wordStart(key string, i int) bool { return !letter(key[i-1]) || lower(key[i-1]) && !lower(key[i]) }

func lower(c byte) bool { return 'a' <= c && c <= 'z' }

func letter(c byte) bool { return lower(c | 0x20) }
