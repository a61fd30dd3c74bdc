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
)

// The identity headers. All of them are in every answer with 200, empty where there is nothing to say.
const (
	HeaderUserID        = "X-Clerk-User-Id"
	HeaderSessionID     = "X-Clerk-Session-Id"
	HeaderOrgID         = "X-Clerk-Org-Id"
	HeaderOrgRole       = "X-Clerk-Org-Role"
	HeaderRole          = "X-Clerk-Role"
	HeaderEmail         = "X-Clerk-Email"          // of those that Clerk has verified alone
	HeaderEmailVerified = "X-Clerk-Email-Verified" // true or false
	HeaderActor         = "X-Clerk-Actor"          // who acts in the user's name
	HeaderIdentity      = "X-Clerk-Identity"
)

// Headers lists the identity headers: what a proxy must take from the answer, and never from a client.
func Headers() []string {
	return []string{
		HeaderUserID, HeaderSessionID, HeaderOrgID, HeaderOrgRole, HeaderRole, HeaderEmail, HeaderEmailVerified, HeaderActor,
		HeaderIdentity,
	}
}

// identify sets all identity headers; nobody makes them empty.
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
		HeaderActor: id.Actor, HeaderIdentity: signed,
	} {
		header.Set(name, value)
	}
}

// emailOf is the caller's address if it is verified, and whether it is; both are empty without a caller.
func emailOf(c *clerksync.Caller) (email, verified string) {
	if c == nil {
		return "", ""
	}
	if c.EmailVerified() {
		email = plain(c.User.Email)
	}
	return email, strconv.FormatBool(email != "")
}

// plain is a value that means the same to every server that reads the header, else nothing: printable ASCII without
// white space, quotes, and what separates values in a list.
func plain(value string) string {
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;\<>`, r) }
	if strings.ContainsFunc(value, odd) {
		return ""
	}
	return value
}

// Identity is who makes a request, as the signed header tells it.
type Identity struct {
	UserID           string    // user_…
	SessionID        string    // sess_…
	OrganizationID   string    // of the active organization, empty if none is
	OrganizationRole string    // in the active organization
	Role             string    // the stored role
	Actor            string    // who acts in the user's name, "unknown" where the token does not name them; empty if no one does
	IssuedAt         time.Time // when the request was let pass
	ExpiresAt        time.Time
}

func identityOf(c *clerksync.Caller, role string) Identity {
	if c == nil || c.Claims == nil {
		return Identity{}
	}
	id := Identity{UserID: plain(c.Claims.Subject), SessionID: plain(c.Claims.SessionID), Role: plain(role)}
	if c.Claims.Actor != nil {
		id.Actor = cmp.Or(plain(c.Claims.Actor.Subject), unknownActor)
	}
	if o := c.Claims.Organization; o != nil {
		id.OrganizationID, id.OrganizationRole = plain(o.ID), plain(o.Role)
	}
	return id
}

const (
	minSecret      = 32
	identityLife   = 60 * time.Second
	identityLeeway = 5 * time.Second // between the clocks of two machines
	identityIssuer = "clerksync"
	unknownActor   = "unknown" // an impersonation is never hidden
	maxIdentity    = 4 << 10
	// identityHeader is the first part of every signed identity. Its type keeps it from being taken for a token of
	// another kind (RFC 8725 section 3.11).
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
	IssuedAt         int64  `json:"iat"`
	ExpiresAt        int64  `json:"exp"`
}

func (i Identity) sign(secret, audience string, now time.Time) string {
	payload, _ := json.Marshal(identityClaims{ //nolint:errchkjson // texts and numbers always encode
		Issuer: identityIssuer, Audience: audience, Subject: i.UserID, SessionID: i.SessionID,
		OrganizationID: i.OrganizationID, OrganizationRole: i.OrganizationRole, Role: i.Role, Actor: i.Actor,
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

// VerifyIdentity reads the header X-Clerk-Identity in an upstream written in Go: an empty or missing header, another
// secret, algorithm or type, one that was made for another host or route than here, and one that is older than its minute
// are errors. The algorithm is HS256 whatever the header says.
func VerifyIdentity(secret, header string, here Audience, now time.Time) (Identity, error) {
	switch {
	case len(secret) < minSecret:
		return Identity{}, fmt.Errorf("forwardauth: the identity secret is shorter than %d bytes", minSecret)
	case header == "":
		return Identity{}, errors.New("forwardauth: nobody is signed in")
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
	if err := d.Decode(&claims); err != nil || claims.Subject == "" {
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
	return Identity{
		UserID: c.Subject, SessionID: c.SessionID, OrganizationID: c.OrganizationID, OrganizationRole: c.OrganizationRole,
		Role: c.Role, Actor: c.Actor, IssuedAt: issued, ExpiresAt: expires,
	}, nil
}
