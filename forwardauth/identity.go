package forwardauth

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// The identity headers. All of them are in every response with 200, and empty if there is nothing
// to say.
const (
	HeaderUserID        = "X-Clerk-User-Id"        // user_…
	HeaderSessionID     = "X-Clerk-Session-Id"     // sess_…
	HeaderOrgID         = "X-Clerk-Org-Id"         // the active organization, org_…
	HeaderOrgRole       = "X-Clerk-Org-Role"       // the role in the active organization, org:…
	HeaderRole          = "X-Clerk-Role"           // the stored application role
	HeaderEmail         = "X-Clerk-Email"          // the address, if Clerk has verified it
	HeaderEmailVerified = "X-Clerk-Email-Verified" // true or false
	HeaderActor         = "X-Clerk-Actor"          // the party that acts in the user's name
	HeaderTokenKind     = "X-Clerk-Token-Kind"     //nolint:gosec // a name: session, api_key, oauth or m2m
	HeaderMachineID     = "X-Clerk-Machine-Id"     // the machine that calls, mch_…
	HeaderClientID      = "X-Clerk-Client-Id"      // the OAuth application
	HeaderScopes        = "X-Clerk-Scopes"         // the scopes of the token, with spaces between them
	HeaderIdentity      = "X-Clerk-Identity"       // all of this, signed; see [VerifyIdentity]
)

// Headers returns the names of the identity headers. A proxy must take these from the response, and
// never pass on those of a client.
func Headers() []string {
	return []string{
		HeaderUserID, HeaderSessionID, HeaderOrgID, HeaderOrgRole, HeaderRole, HeaderEmail, HeaderEmailVerified, HeaderActor,
		HeaderTokenKind, HeaderMachineID, HeaderClientID, HeaderScopes, HeaderIdentity,
	}
}

// identify sets all identity headers. They are empty if no user is signed in.
func (h *Handler) identify(header http.Header, p passage) {
	id := identityOf(p.caller, p.role)
	signed := ""
	if p.caller != nil && p.audience != "" && h.config.IdentitySecret != "" {
		signed = id.sign(h.config.IdentitySecret, p.audience, h.config.Now())
	}
	email, verified := emailOf(p.caller)
	for name, value := range map[string]string{
		HeaderUserID: id.UserID, HeaderSessionID: id.SessionID, HeaderOrgID: id.OrganizationID,
		HeaderOrgRole: id.OrganizationRole, HeaderRole: id.Role, HeaderEmail: email, HeaderEmailVerified: verified,
		HeaderActor: id.Actor, HeaderTokenKind: id.kind(), HeaderMachineID: id.MachineID, HeaderClientID: id.ClientID, HeaderScopes: id.Scopes,
		HeaderIdentity: signed,
	} {
		header.Set(name, value)
	}
}

// emailOf returns the caller's address if it is verified, and "true" or "false". Both are empty
// if the caller is no user.
func emailOf(c *clerksync.Caller) (email, verified string) {
	if identityOf(c, "").UserID == "" {
		return "", ""
	}
	if c.EmailVerified() {
		email = plain(c.User.Email)
	}
	return email, strconv.FormatBool(email != "")
}

// plain returns a value that every server reads in the same way: printable ASCII without white
// space, quotes and separators of lists. It returns "" for any other value.
func plain(value string) string {
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;\<>`, r) }
	if strings.ContainsFunc(value, odd) {
		return ""
	}
	return value
}

// Identity is who makes a request, as the signed header X-Clerk-Identity says. Where a route
// accepts other kinds of tokens than those of sessions, that need not be a user.
type Identity struct {
	Kind             auth.Kind // the kind of the token
	UserID           string    // user_…; "" for a machine and for the API key of an organization
	SessionID        string    // sess_…
	OrganizationID   string    // the active organization (org_…), or ""
	OrganizationRole string    // the role in the active organization (org:…), or ""
	Role             string    // the stored application role, or ""

	// Actor is the party that acts in the user's name, or "" if none does. It is "unknown" if the
	// token does not name the party.
	Actor string

	MachineID string // the machine (mch_…) of an M2M token, or ""
	ClientID  string // the application of an OAuth access token, or ""
	Scopes    string // the scopes of the token with spaces between them, or ""

	IssuedAt  time.Time // when the handler let the request pass
	ExpiresAt time.Time // 60 seconds later
}

func identityOf(c *clerksync.Caller, role string) Identity {
	if c == nil || c.Claims == nil {
		return Identity{}
	}
	id := Identity{
		Kind: c.Claims.Kind, UserID: plain(c.Claims.UserID()), SessionID: plain(c.Claims.SessionID), Role: plain(role),
		MachineID: plain(c.Claims.MachineID), ClientID: plain(c.Claims.ClientID), Scopes: plainScopes(c.Claims.Scopes),
	}
	if c.Claims.Actor != nil {
		id.Actor = cmp.Or(plain(c.Claims.Actor.Subject), unknownActor)
	}
	if o := c.Claims.Organization; o != nil {
		id.OrganizationID, id.OrganizationRole = plain(o.ID), plain(o.Role)
	}
	return id
}

// plainScopes returns the scopes that every server reads in the same way. One that is left out
// grants nothing.
func plainScopes(scopes []string) string {
	var all []string
	for _, scope := range scopes {
		if scope = plain(scope); scope != "" {
			all = append(all, scope)
		}
	}
	return strings.Join(all, " ")
}

// kind returns the kind of the token, "" if there is none.
func (i Identity) kind() string {
	if i.nobody() {
		return ""
	}
	return i.Kind.String()
}

// nobody reports whether the identity names no one: a session token always names a user.
func (i Identity) nobody() bool {
	return i.UserID == "" && (i.Kind == auth.Session || i.OrganizationID == "" && i.MachineID == "")
}

const (
	minSecret      = 32
	identityLife   = 60 * time.Second
	identityLeeway = 5 * time.Second // between the clocks of two machines
	identityIssuer = "clerksync"
	unknownActor   = "unknown" // so that an impersonation is never hidden
	maxIdentity    = 4 << 10   // bytes
	// identityHeader is the first part of every signed identity. Its type distinguishes it from
	// tokens of other kinds (RFC 8725 section 3.11).
	identityHeader = `{"alg":"HS256","typ":"clerksync-identity+jwt"}`
)

// identityClaims is the payload of the compact JWS.
type identityClaims struct {
	Issuer           string `json:"iss"`
	Audience         string `json:"aud"`
	Subject          string `json:"sub"`
	SessionID        string `json:"sid"`
	OrganizationID   string `json:"org"`
	OrganizationRole string `json:"org_role"`
	Role             string `json:"role"`
	Actor            string `json:"act"`
	Kind             string `json:"kind"`
	MachineID        string `json:"machine"`
	ClientID         string `json:"client"`
	Scopes           string `json:"scope"`
	IssuedAt         int64  `json:"iat"`
	ExpiresAt        int64  `json:"exp"`
}

func (i Identity) sign(secret, audience string, now time.Time) string {
	payload, _ := json.Marshal(identityClaims{ //nolint:errchkjson // texts and numbers always encode
		Issuer: identityIssuer, Audience: audience, Subject: i.UserID, SessionID: i.SessionID,
		OrganizationID: i.OrganizationID, OrganizationRole: i.OrganizationRole, Role: i.Role, Actor: i.Actor,
		Kind: i.Kind.String(), MachineID: i.MachineID, ClientID: i.ClientID, Scopes: i.Scopes,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(identityLife).Unix(),
	})
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(identityHeader)) + "." + encode(payload)
	return signed + "." + encode(mac(secret, signed))
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// VerifyIdentity verifies the header X-Clerk-Identity in an upstream written in Go. secret is
// [Config].IdentitySecret, and here is the place of the upstream.
//
// It returns an error if the header is empty, was made with another secret, algorithm or type, was
// made for another host or route, or is older than a minute. The algorithm is always HS256,
// whatever the header says.
func VerifyIdentity(secret, header string, here Audience, now time.Time) (Identity, error) {
	switch {
	case len(secret) < minSecret:
		return Identity{}, fmt.Errorf("forwardauth: the identity secret is shorter than %d bytes", minSecret)
	case header == "":
		return Identity{}, errors.New("forwardauth: no user is signed in")
	case len(header) > maxIdentity:
		return Identity{}, errors.New("forwardauth: the identity is too long")
	}
	decode := base64.RawURLEncoding.Strict().DecodeString
	end := strings.LastIndexByte(header, '.')
	first := base64.RawURLEncoding.EncodeToString([]byte(identityHeader)) + "."
	payload, ours := strings.CutPrefix(header[:max(end, 0)], first)
	if !ours {
		return Identity{}, errors.New("forwardauth: not an identity of clerksync")
	}
	signature, err := decode(header[end+1:])
	if err != nil || !hmac.Equal(signature, mac(secret, header[:end])) {
		return Identity{}, errors.New("forwardauth: the identity's signature does not match")
	}
	text, err := decode(payload)
	if err != nil {
		return Identity{}, errors.New("forwardauth: the identity is malformed")
	}
	var claims identityClaims
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&claims); err != nil {
		return Identity{}, errors.New("forwardauth: the identity is malformed")
	}
	if err := here.covers(claims.Audience); err != nil {
		return Identity{}, err
	}
	return claims.identity(now)
}

func (c identityClaims) identity(now time.Time) (Identity, error) {
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.ExpiresAt, 0)
	switch {
	case c.Issuer != identityIssuer:
		return Identity{}, errors.New("forwardauth: the identity is meant for others")
	case expires.Sub(issued) > identityLife || !now.Before(expires.Add(identityLeeway)):
		return Identity{}, errors.New("forwardauth: the identity has expired")
	case now.Before(issued.Add(-identityLeeway)):
		return Identity{}, errors.New("forwardauth: the identity is from the future; compare the clocks")
	}
	kind, known := auth.ParseKind(c.Kind)
	id := Identity{
		Kind: kind, UserID: c.Subject, SessionID: c.SessionID, OrganizationID: c.OrganizationID, OrganizationRole: c.OrganizationRole,
		MachineID: c.MachineID, ClientID: c.ClientID, Scopes: c.Scopes,
		Role: c.Role, Actor: c.Actor, IssuedAt: issued, ExpiresAt: expires,
	}
	if !known || id.nobody() {
		return Identity{}, errors.New("forwardauth: the identity is malformed")
	}
	return id, nil
}
