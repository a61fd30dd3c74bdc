package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// What Clerk accepts in an instance with its default settings. Lengths are in characters, those of
// metadata in bytes of JSON.
const (
	minUsername, maxUsername = 4, 64
	maxName                  = 256
	maxMetadata              = 8 << 10
)

var (
	phonePattern    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	walletPattern   = regexp.MustCompile(`^(0x[0-9a-fA-F]{40}|[1-9A-HJ-NP-Za-km-z]{32,44})$`)
	usernamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	slugPattern     = regexp.MustCompile(`^[a-z0-9-]+$`)
	localePattern   = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)
	linkPattern     = regexp.MustCompile(`(?i)[a-z]+://|www\.|<[a-z/!]`)
)

// checkEmail refuses what is not an e-mail address.
func checkEmail(parameter, address string) error {
	parsed, err := mail.ParseAddress(address)
	at := strings.LastIndexByte(address, '@')
	if err != nil || parsed.Address != address || len(address) > 254 || !strings.Contains(strings.Trim(address[at+1:], ".[]"), ".") {
		return malformed(parameter, parameter+" must be a valid email address.")
	}
	return nil
}

// checkPhone refuses what is not a phone number in the form of E.164, such as +15555550100.
func checkPhone(parameter, number string) error {
	if !phonePattern.MatchString(number) {
		return malformed(parameter, parameter+" must be a valid phone number according to E.164 international standard.")
	}
	return nil
}

func checkWallet(parameter, wallet string) error {
	if !walletPattern.MatchString(wallet) {
		return malformed(parameter, parameter+" must be a valid web3 wallet address.")
	}
	return nil
}

// checkUsername refuses names that Clerk's default settings refuse.
func checkUsername(parameter, name string) error {
	refuse := func(code, long string) error {
		return fail(http.StatusUnprocessableEntity, code, long, long).about(parameter)
	}
	switch n := utf8.RuneCountInString(name); {
	case n < minUsername || n > maxUsername:
		return refuse("form_username_invalid_length", fmt.Sprintf("Your username must be between %d and %d characters long.", minUsername, maxUsername))
	case !usernamePattern.MatchString(name):
		return refuse("form_username_invalid_character", "Your username can only contain letters, numbers, underscores and dashes.")
	case strings.Trim(name, "0123456789") == "":
		return refuse("form_username_needs_non_number_char", "Your username must contain one non-number character.")
	}
	return nil
}

// checkName refuses names that are too long, and those with links or HTML.
func checkName(parameter, name string) error {
	if utf8.RuneCountInString(name) > maxName {
		return tooLong(parameter, maxName)
	}
	if linkPattern.MatchString(name) {
		return invalid(parameter, parameter+" must not contain URLs or HTML.")
	}
	return nil
}

func tooLong(parameter string, most int) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_param_max_length_exceeded", "exceeds maximum length",
		fmt.Sprintf("%s should not exceed %d characters.", parameter, most)).about(parameter)
}

// checkSlug refuses what is not a slug of an organization.
func checkSlug(parameter, slug string) error {
	if !slugPattern.MatchString(slug) {
		return malformed(parameter, parameter+` can contain only lowercase alphanumeric characters and the dash "-".`)
	}
	if len(slug) > maxName {
		return tooLong(parameter, maxName)
	}
	return nil
}

func checkLocale(parameter, locale string) error {
	if !localePattern.MatchString(locale) {
		return malformed(parameter, parameter+" must be a valid BCP-47 language tag.")
	}
	return nil
}

// checkMetadata refuses metadata of more than 8 KB.
func checkMetadata(parameter string, m Metadata) error {
	encoded, err := json.Marshal(m)
	if err != nil || len(encoded) > maxMetadata {
		return fail(http.StatusUnprocessableEntity, "form_param_exceeds_allowed_size", "exceeds allowed size",
			fmt.Sprintf("%s exceeds the maximum allowed size of %d bytes.", parameter, maxMetadata)).about(parameter)
	}
	return nil
}

// checkAllMetadata refuses metadata of more than 8 KB of any visibility.
func checkAllMetadata(public, private, unsafe Metadata) error {
	for _, m := range []struct {
		name  string
		value Metadata
	}{{"public_metadata", public}, {"private_metadata", private}, {"unsafe_metadata", unsafe}} {
		if err := checkMetadata(m.name, m.value); err != nil {
			return err
		}
	}
	return nil
}

// checkClaims refuses claims of a JWT template that each token has, or only session tokens have.
func checkClaims(claims map[string]any) error {
	for _, name := range []string{"azp", "exp", "fea", "iat", "iss", "jti", "nbf", "pla", "sid", "sub", "v"} {
		if _, used := claims[name]; used {
			return fail(http.StatusBadRequest, "jwt_template_reserved_claim", "reserved claim used",
				"You can't use the reserved claim: '"+name+"'").about("claims")
		}
	}
	return nil
}

// needs says that a parameter is given without another one that it depends on.
func needs(absent, given string) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_conditional_param_missing", "is missing",
		"`"+absent+"` is required when `"+given+"` is present.").about(absent)
}

// hashers are the algorithms of password digests that Clerk takes.
func hashers() []string {
	return []string{
		"argon2i", "argon2id", "bcrypt", "bcrypt_sha256_django", "ldap_ssha", "md5", "md5_phpass", "pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha256_django",
		"pbkdf2_sha512", "pbkdf2_sha512_hex", "phpass", "scrypt_firebase", "scrypt_werkzeug", "sha256", "sha512_symfony",
	}
}

// check refuses parameters of a user that Clerk refuses. Null counts as the empty text, which
// clears a field; none of the checks applies to it.
func (p *userParameters) check() error {
	for _, x := range []struct {
		name  string
		value *string
		check func(parameter, value string) error
	}{
		{"username", p.Username, checkUsername},
		{"locale", p.Locale, checkLocale},
		{"first_name", p.FirstName, checkName},
		{"last_name", p.LastName, checkName},
	} {
		if or(x.value) == "" {
			continue
		}
		if err := x.check(x.name, *x.value); err != nil {
			return err
		}
	}
	for _, x := range []struct {
		name   string
		values []string
		check  func(parameter, value string) error
	}{{"email_address", p.EmailAddress, checkEmail}, {"phone_number", p.PhoneNumber, checkPhone}, {"web3_wallet", p.Web3Wallet, checkWallet}} {
		for _, value := range x.values {
			if err := x.check(x.name, value); err != nil {
				return err
			}
		}
	}
	for _, x := range []struct {
		name     string
		statuses []string
		of       []string
	}{{"email_address", p.EmailStatus, p.EmailAddress}, {"phone_number", p.PhoneStatus, p.PhoneNumber}} {
		if err := checkStatuses(x.name, x.statuses, len(x.of)); err != nil {
			return err
		}
	}
	if err := p.checkSecrets(); err != nil {
		return err
	}
	return checkAllMetadata(p.PublicMetadata.value, p.PrivateMetadata.value, p.UnsafeMetadata.value)
}

// checkStatuses refuses statuses that do not say of each address whether it is verified or
// reserved.
func checkStatuses(of string, statuses []string, n int) error {
	name := of + "_identification_status"
	if len(statuses) != 0 && len(statuses) != n {
		return fail(http.StatusUnprocessableEntity, "form_param_array_length_mismatch", "length mismatch",
			name+" must contain exactly one item for each item in "+of+".").about(name)
	}
	for _, s := range statuses {
		if s != "verified" && s != "reserved" {
			return invalid(name, s+" does not match one of the allowed values for parameter "+name)
		}
	}
	return nil
}

func (p *userParameters) checkSecrets() error {
	if p.Password != nil && !or(p.SkipPasswordChecks) {
		if err := checkPassword("password", *p.Password); err != nil {
			return err
		}
	}
	switch {
	case p.PasswordDigest != nil && p.PasswordHasher == nil:
		return needs("password_hasher", "password_digest")
	case p.PasswordHasher != nil && !slices.Contains(hashers(), *p.PasswordHasher):
		return invalid("password_hasher", *p.PasswordHasher+" does not match one of the allowed values for parameter password_hasher")
	case p.TOTPSecret != nil && totpCode(*p.TOTPSecret, time.Now()) == "":
		return fail(http.StatusUnprocessableEntity, "invalid_totp_secret_code", "invalid TOTP secret",
			"The TOTP secret is invalid, please provide a valid one base32 encoded").about("totp_secret")
	case or(p.SignOutOfOtherSessions) && p.Password == nil && p.PasswordDigest == nil:
		return needs("password", "sign_out_of_other_sessions")
	}
	return nil
}

// checkPrimaries refuses a primary address, number or wallet that the user does not have, or that
// is not verified.
func (p *userParameters) checkPrimaries(r *userRecord) error {
	statuses := map[string]string{}
	for _, a := range r.EmailAddresses {
		statuses["email address "+a.ID] = a.Verification.status()
	}
	for _, n := range r.PhoneNumbers {
		statuses["phone number "+n.ID] = n.Verification.status()
	}
	for _, w := range r.Web3Wallets {
		statuses["web3 wallet "+w.ID] = w.Verification.status()
	}
	for _, x := range []struct {
		parameter, kind string
		id              *string
	}{
		{"primary_email_address_id", "email address", p.PrimaryEmailAddressID},
		{"primary_phone_number_id", "phone number", p.PrimaryPhoneNumberID},
		{"primary_web3_wallet_id", "web3 wallet", p.PrimaryWeb3WalletID},
	} {
		if x.id == nil {
			continue
		}
		switch status, known := statuses[x.kind+" "+*x.id]; {
		case !known:
			return notFound(x.kind, *x.id)
		case status != "verified":
			return unverifiedPrimary(x.parameter)
		}
	}
	return nil
}

// read decodes the parameters of a user and checks them. Null clears what may be empty.
func (p *userParameters) read(c *call) error {
	if err := c.decode(p); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(c.body, &given) != nil {
		return p.check() // there is no body
	}
	for name, field := range map[string]**string{
		"username": &p.Username, "first_name": &p.FirstName, "last_name": &p.LastName, "external_id": &p.ExternalID, "locale": &p.Locale,
	} {
		if string(given[name]) == "null" {
			*field = new("")
		}
	}
	return p.check()
}
