package emulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// person is the one who makes a request of the Frontend API.
type person struct {
	*userRecord
	session *Session
}

// mine makes an endpoint of one that needs a person who is signed in.
func mine(handle func(*Emulator, *frontCall, person) (any, error)) func(*Emulator, *frontCall) (any, error) {
	return func(e *Emulator, c *frontCall) (any, error) {
		s, r, err := e.signedIn(c)
		if err != nil {
			return nil, err
		}
		return handle(e, c, person{r, s})
	}
}

// verifiedMine is mine for what needs a verification in the last ten minutes. Without one the
// request is refused with the code that makes Clerk's components ask for it.
func verifiedMine(handle func(*Emulator, *frontCall, person) (any, error)) func(*Emulator, *frontCall) (any, error) {
	return mine(func(e *Emulator, c *frontCall, p person) (any, error) {
		if err := e.freshlyVerified(p); err != nil {
			return nil, err
		}
		return handle(e, c, p)
	})
}

// verificationFresh is for how many minutes people may change what protects their account.
const verificationFresh = 10

// freshlyVerified refuses sessions whose last verification is too old. That of the second factor
// decides if the session has one.
func (e *Emulator) freshlyVerified(p person) error {
	ages := e.factorAges(p.session)
	age := ages[0]
	if p.TwoFactorEnabled && ages[1] >= 0 {
		age = ages[1]
	}
	if age >= 0 && age < verificationFresh {
		return nil
	}
	return fail(http.StatusForbidden, "session_reverification_required", "Reverification required",
		"You need to provide additional verification to perform this operation")
}

// backend runs an endpoint of the Backend API with the given parameters, so that both APIs check,
// change and announce the same.
func (e *Emulator) backend(c *frontCall, handle func(*Emulator, *call) (any, error), parameters any) (any, error) {
	body, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	r := c.r.Clone(c.r.Context())
	r.Header.Set("Content-Type", "application/json")
	return handle(e, &call{r: r, query: c.query, body: body, version: latestVersion})
}

// given returns the parameters of a request that are among the named ones.
func (c *frontCall) given(names ...string) values {
	all := values{}
	for _, name := range names {
		if c.form.Has(name) {
			all[name] = c.form.Get(name)
		}
	}
	return all
}

// frontDeleted is what the Frontend API returns of a deleted object.
type frontDeleted struct {
	Object  string `json:"object"`
	ID      string `json:"id,omitempty"`
	Slug    string `json:"slug,omitempty"`
	Deleted bool   `json:"deleted"`
}

func (e *Emulator) getMe(_ *frontCall, p person) (any, error) { return e.frontUser(p.userRecord), nil }

// updateMe changes names and primary addresses. Those that people sign in with need a fresh
// verification.
func (e *Emulator) updateMe(c *frontCall, p person) (any, error) {
	if c.form.Has("password") {
		return nil, fail(http.StatusForbidden, "updating_user_password_deprecated", "deprecated feature",
			"Password is not a valid parameter and can only be updated via /v1/me/change_password")
	}
	for _, name := range []string{"public_metadata", "private_metadata"} {
		if c.form.Has(name) {
			return nil, unknownParameter(name)
		}
	}
	identifying := c.given("username", "primary_email_address_id", "primary_phone_number_id", "primary_web3_wallet_id")
	if len(identifying) > 0 {
		if err := e.freshlyVerified(p); err != nil {
			return nil, err
		}
	}
	if err := e.mayBePrimary(identifying, p); err != nil {
		return nil, err
	}
	changes := c.given("username", "first_name", "last_name", "primary_email_address_id", "primary_phone_number_id", "primary_web3_wallet_id")
	metadata, err := c.metadata(func(next Metadata) Metadata { return next }) // older SDKs; PATCH /me/metadata merges
	if err != nil {
		return nil, err
	}
	if len(changes) > 0 || metadata == nil {
		c.r.SetPathValue("id", p.ID)
		if _, err := e.backend(c, (*Emulator).updateUser, changes); err != nil {
			return nil, err
		}
	}
	return e.setMyMetadata(p, metadata)
}

// mayBePrimary refuses primary addresses that are not verified, and to remove what people must
// have.
func (e *Emulator) mayBePrimary(changes values, p person) error {
	for _, a := range p.EmailAddresses {
		if changes["primary_email_address_id"] == a.ID && a.Verification.status() != "verified" {
			return unverifiedPrimary("primary_email_address_id")
		}
	}
	for _, n := range p.PhoneNumbers {
		if changes["primary_phone_number_id"] == n.ID && n.Verification.status() != "verified" {
			return unverifiedPrimary("primary_phone_number_id")
		}
	}
	for _, name := range []string{"primary_email_address_id", "primary_phone_number_id", "primary_web3_wallet_id"} {
		if changes[name] == "" {
			return invalid(name, name+" is invalid. Must be not empty")
		}
	}
	if changes["username"] == "" && p.Username != nil {
		return e.mayLose(p.userRecord, "username", "")
	}
	return nil
}

func (e *Emulator) updateMyMetadata(c *frontCall, p person) (any, error) {
	for _, name := range []string{"public_metadata", "private_metadata"} {
		if c.form.Has(name) {
			return nil, unknownParameter(name)
		}
	}
	if !c.form.Has("unsafe_metadata") {
		return nil, missing("unsafe_metadata")
	}
	metadata, err := c.metadata(func(next Metadata) Metadata { return merged(p.UnsafeMetadata, next) })
	if err != nil {
		return nil, err
	}
	return e.setMyMetadata(p, metadata)
}

// metadata returns the unsafe metadata, the only one that people may change themselves, or nil if
// there is none in the request.
func (c *frontCall) metadata(combine func(next Metadata) Metadata) (*Metadata, error) {
	if !c.form.Has("unsafe_metadata") {
		return nil, nil
	}
	var next Metadata
	if text := c.form.Get("unsafe_metadata"); text != "" {
		if err := json.Unmarshal([]byte(text), &next); err != nil {
			return nil, malformed("unsafe_metadata", "unsafe_metadata must be a JSON object.")
		}
	}
	next = combine(next)
	return &next, checkMetadata("unsafe_metadata", next)
}

func (e *Emulator) setMyMetadata(p person, metadata *Metadata) (any, error) {
	if metadata != nil {
		if _, err := e.rewrite(p.userRecord, func(next *userRecord, _ int64) { next.UnsafeMetadata = *metadata }); err != nil {
			return nil, err
		}
	}
	return e.frontUser(p.userRecord), nil
}

// deleteMe deletes the person, if the instance and the user allow that.
func (e *Emulator) deleteMe(c *frontCall, p person) (any, error) {
	if !p.DeleteSelfEnabled {
		return nil, fail(http.StatusForbidden, "user_delete_self_not_enabled", "delete self not enabled", "Self deletion is not enabled for this user")
	}
	c.r.SetPathValue("id", p.ID)
	if _, err := e.backend(c, (*Emulator).deleteUser, nil); err != nil {
		return nil, err
	}
	return frontDeleted{Object: "user", ID: p.ID, Deleted: true}, nil
}

// upload returns the picture in a request: a file of a form, or base64 alone.
func (c *frontCall) upload() (*image, error) {
	content, encoded := c.files["file"], false
	if c.files == nil {
		content, encoded = c.body, true
	}
	i, err := readImage(content, encoded)
	return &i, err
}

func (e *Emulator) setMyPicture(c *frontCall, p person) (any, error) {
	i, err := c.upload()
	if err != nil {
		return nil, err
	}
	if _, err := e.setPicture(p.userRecord, c.r, i); err != nil {
		return nil, err
	}
	return values{"object": "image", "id": imageID(p.ImageURL), "name": imageID(p.ImageURL), "public_url": p.ImageURL}, nil
}

func (e *Emulator) deleteMyPicture(c *frontCall, p person) (any, error) {
	if !p.HasImage {
		return nil, fail(http.StatusNotFound, "image_not_found", "Image not found", "Image not found")
	}
	id := imageID(p.ImageURL)
	if _, err := e.setPicture(p.userRecord, c.r, nil); err != nil {
		return nil, err
	}
	return frontDeleted{Object: "image", ID: id, Deleted: true}, nil
}

// listMySessions shows the sessions of the person in all browsers, newest first, without tokens.
// This endpoint has no {response, client} at Clerk.
func (e *Emulator) listMySessions(c *frontCall, p person) (any, error) {
	active := strings.HasSuffix(c.r.URL.Path, "/active")
	all := []frontSession{}
	for _, s := range slices.Backward(e.sessions.byUser[p.ID]) {
		if e.aged(s); isLive(s) || !active {
			all = append(all, e.withoutToken(c, s))
		}
	}
	return bare{all}, nil
}

func (e *Emulator) withoutToken(c *frontCall, s *Session) frontSession {
	shown := e.frontSession(c, s)
	shown.LastActiveToken = nil
	return shown
}

// revokeMySession signs the person out in another browser, or in this one.
func (e *Emulator) revokeMySession(c *frontCall, p person) (any, error) {
	id := c.r.PathValue("session_id")
	s, err := e.session(id)
	if err != nil || s.UserID != p.ID {
		return nil, notFound("session", id)
	}
	if !isLive(s) {
		return nil, fail(http.StatusBadRequest, "invalid_action_for_session", "Invalid action for user session", "Unable to revoke session "+id)
	}
	e.end(s, "revoked", true)
	return e.withoutToken(c, s), nil
}

// noConnections returns the empty list: the emulator has no enterprise connections.
func (e *Emulator) noConnections(*frontCall, person) (any, error) { return []struct{}{}, nil }

// noCreationDefaults proposes nothing for a new organization.
func (e *Emulator) noCreationDefaults(*frontCall, person) (any, error) {
	return values{"form": nil, "advisory": nil}, nil
}
