package emulator

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// users has all users of the instance.
type users struct {
	byID       map[string]*userRecord
	byAddress  map[string]*userRecord // by what users have claimed: addresses, numbers, user name, external id
	created    []*userRecord          // by created_at
	generation int                    // number of changes, for the sorted lists
	sorted     map[string]sortedUsers
}

type userRecord struct {
	User
	locked  time.Time // until when; zero means forever
	founded string    // the organization that was created in the user's name since the last session
	encoded raw       // nil after a change
	secret  credentials
}

type sortedUsers struct {
	generation int
	records    []*userRecord
}

func (u *users) init() {
	u.created = nil
	u.byID, u.byAddress, u.sorted = map[string]*userRecord{}, map[string]*userRecord{}, map[string]sortedUsers{}
}

func (u *users) add(r *userRecord) {
	u.byID[r.ID] = r
	at, _ := slices.BinarySearchFunc(u.created, r.CreatedAt+1, func(x *userRecord, at int64) int { return cmp.Compare(x.CreatedAt, at) })
	u.created = slices.Insert(u.created, at, r)
	for _, key := range r.claimed() {
		u.byAddress[key] = r
	}
	u.changed(r)
}

func (u *users) remove(r *userRecord) {
	delete(u.byID, r.ID)
	u.created = slices.DeleteFunc(u.created, func(x *userRecord) bool { return x == r })
	for _, key := range r.claimed() {
		delete(u.byAddress, key)
	}
	u.generation++
}

func (u *users) changed(r *userRecord) {
	r.encoded = nil
	u.generation++
}

// addresses returns the keys of all that identifies the user.
func (r *userRecord) addresses() []string { return r.keys(true) }

// claimed returns the keys that no other user may have: those of [userRecord.addresses] without
// addresses and numbers that are neither verified nor reserved.
func (r *userRecord) claimed() []string { return r.keys(false) }

func (r *userRecord) keys(all bool) []string {
	var keys []string
	for _, a := range r.EmailAddresses {
		if keys = append(keys, "id:"+a.ID); all || a.Reserved || isVerified(a.Verification) {
			keys = append(keys, "email_address:"+strings.ToLower(a.EmailAddress))
		}
	}
	for _, p := range r.PhoneNumbers {
		if keys = append(keys, "id:"+p.ID); all || p.Reserved || isVerified(p.Verification) {
			keys = append(keys, "phone_number:"+p.PhoneNumber)
		}
	}
	if r.Username != nil {
		keys = append(keys, "username:"+strings.ToLower(*r.Username))
	}
	if r.ExternalID != nil {
		keys = append(keys, "external_id:"+*r.ExternalID)
	}
	return keys
}

// json returns the user as the API and webhooks have it. It is kept until the user changes.
func (e *Emulator) json(r *userRecord) raw {
	if r.Locked && !r.locked.IsZero() {
		left := r.locked.Sub(e.clock.now())
		if left <= 0 {
			r.Locked, r.LockoutExpiresInSeconds, r.locked = false, nil, time.Time{}
			e.users.changed(r)
		} else {
			r.LockoutExpiresInSeconds, r.encoded = new(int64(left.Seconds())+1), nil
		}
	}
	if r.encoded == nil {
		r.encoded, _ = json.Marshal(&r.User) //nolint:errchkjson // our own types, and metadata that came as JSON
	}
	return r.encoded
}

// MarshalJSON returns the user, encoded once.
func (r raw) MarshalJSON() ([]byte, error) { return r, nil }

func (e *Emulator) user(id string) (*userRecord, error) {
	if r, ok := e.users.byID[id]; ok {
		return r, nil
	}
	return nil, notFound("user", id)
}

// primary returns the user's main address, number or name.
func (r *userRecord) primary() *string {
	for _, a := range r.EmailAddresses {
		if r.PrimaryEmailAddressID != nil && a.ID == *r.PrimaryEmailAddressID {
			return &a.EmailAddress
		}
	}
	if len(r.PhoneNumbers) > 0 {
		return &r.PhoneNumbers[0].PhoneNumber
	}
	return r.Username
}

// userParameters are the parameters for creating and updating a user.
type userParameters struct {
	EmailAddress              []string `json:"email_address"`
	EmailStatus               []string `json:"email_address_identification_status"` // verified, the default, or reserved
	PhoneNumber               []string `json:"phone_number"`
	PhoneStatus               []string `json:"phone_number_identification_status"`
	Web3Wallet                []string `json:"web3_wallet"`
	Username                  *string  `json:"username"`
	Password                  *string  `json:"password"`
	PasswordDigest            *string  `json:"password_digest"`
	PasswordHasher            *string  `json:"password_hasher"`
	FirstName                 *string  `json:"first_name"`
	LastName                  *string  `json:"last_name"`
	ExternalID                *string  `json:"external_id"`
	Locale                    *string  `json:"locale"`
	PublicMetadata            optional `json:"public_metadata"`
	PrivateMetadata           optional `json:"private_metadata"`
	UnsafeMetadata            optional `json:"unsafe_metadata"`
	SkipPasswordChecks        *bool    `json:"skip_password_checks"`
	SkipPasswordRequirement   *bool    `json:"skip_password_requirement"`
	SkipLegalChecks           *bool    `json:"skip_legal_checks"`
	SkipUserRequirement       *bool    `json:"skip_user_requirement"`
	SignOutOfOtherSessions    *bool    `json:"sign_out_of_other_sessions"`
	LegalAcceptedAt           *string  `json:"legal_accepted_at"`
	CreatedAt                 *string  `json:"created_at"`
	TOTPSecret                *string  `json:"totp_secret"`
	BackupCodes               []string `json:"backup_codes"`
	PrimaryEmailAddressID     *string  `json:"primary_email_address_id"`
	PrimaryPhoneNumberID      *string  `json:"primary_phone_number_id"`
	PrimaryWeb3WalletID       *string  `json:"primary_web3_wallet_id"`
	NotifyPrimaryEmailChanged *bool    `json:"notify_primary_email_address_changed"`
	ProfileImageID            *string  `json:"profile_image_id"`
	DeleteSelfEnabled         *bool    `json:"delete_self_enabled"`
	CreateOrganizationEnabled *bool    `json:"create_organization_enabled"`
	CreateOrganizationsLimit  *int     `json:"create_organizations_limit"`
	BypassClientTrust         *bool    `json:"bypass_client_trust"`
	Banned                    *bool    `json:"banned"` // this one and the next at creation only
	Locked                    *bool    `json:"locked"`
}

// optional is metadata that may be absent. Clerk accepts an object, or an object as a text.
type optional struct {
	set   bool
	value Metadata
}

// UnmarshalJSON accepts an object, null, or a text that contains an object.
func (o *optional) UnmarshalJSON(b []byte) error {
	o.set = true
	var s string
	if json.Unmarshal(b, &s) == nil && s != "" {
		b = []byte(s)
	}
	return json.Unmarshal(b, &o.value)
}

func (e *Emulator) createUser(c *call) (any, error) {
	var p userParameters
	if err := p.read(c); err != nil {
		return nil, err
	}
	r, err := e.addUser(&p)
	if err != nil {
		return nil, err
	}
	return e.json(r), nil
}

// addUser makes a user and sends the event.
func (e *Emulator) addUser(p *userParameters) (*userRecord, error) {
	if len(p.EmailAddress)+len(p.PhoneNumber)+len(p.Web3Wallet) == 0 && p.Username == nil {
		return nil, missing("email_address")
	}
	now, err := e.createdAt(p.CreatedAt)
	if err != nil {
		return nil, err
	}
	r := e.newUser(now)
	if r.LegalAcceptedAt, err = moment("legal_accepted_at", p.LegalAcceptedAt); err != nil {
		return nil, err
	}
	r.Banned, r.Locked = or(p.Banned), or(p.Locked)
	if r.Locked {
		r.locked = e.clock.now().Add(lockout)
	}
	for i, address := range p.EmailAddress {
		reserved := i < len(p.EmailStatus) && p.EmailStatus[i] == "reserved"
		r.addEmail(e.random, address, now, adminVerification(!reserved))
		r.EmailAddresses[i].Reserved = reserved
	}
	for i, number := range p.PhoneNumber {
		reserved := i < len(p.PhoneStatus) && p.PhoneStatus[i] == "reserved"
		r.addPhone(e.random, number, now, adminVerification(!reserved))
		r.PhoneNumbers[i].Reserved = reserved
	}
	for _, wallet := range p.Web3Wallet {
		r.Web3Wallets = append(r.Web3Wallets, Web3Wallet{
			ID: e.random.id("idn"), Object: "web3_wallet", Web3Wallet: wallet, CreatedAt: now, UpdatedAt: now,
			Verification: adminVerification(true),
		})
		r.PrimaryWeb3WalletID = &r.Web3Wallets[0].ID
	}
	p.describe(r, now)
	if err := e.unique(r, ""); err != nil {
		return nil, err
	}
	e.users.add(r)
	e.changed = true
	if e.listened() { // encoding a user takes a while
		e.emit("user.created", e.after(r.UpdatedAt-1), e.json(r))
	}
	e.arrived(r)
	return r, nil
}

// moment reads a time in the form of RFC 3339, if there is one.
func moment(name string, s *string) (*int64, error) {
	if s == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		return nil, malformed(name, name+" must be a time in the form of RFC 3339.")
	}
	return new(at.UnixMilli()), nil
}

// createdAt returns now, unless a time is given.
func (e *Emulator) createdAt(given *string) (int64, error) {
	if given == nil {
		return e.after(0), nil
	}
	at, err := moment("created_at", given)
	if err != nil {
		return 0, err
	}
	return *at, nil
}

// unique returns an error if another user has claimed something that a user has now and had not
// before, or now claims. self is the id of the user, or empty for a new one.
func (e *Emulator) unique(r *userRecord, self string) error {
	had, seen := map[string]bool{}, map[string]bool{}
	if before := e.users.byID[self]; before != nil {
		claimed := map[string]bool{}
		for _, key := range r.claimed() {
			claimed[key] = true
		}
		for _, key := range before.claimed() {
			delete(claimed, key)
		}
		for _, key := range before.addresses() {
			had[key] = !claimed[key]
		}
	}
	for _, key := range r.addresses() {
		other, taken := e.users.byAddress[key]
		if seen[key] || taken && other.ID != self && !had[key] {
			name, _, _ := strings.Cut(key, ":")
			return exists(name)
		}
		seen[key] = true
	}
	return nil
}

func (e *Emulator) newUser(now int64) *userRecord {
	id := e.random.id("user")
	image := placeholder(id)
	return &userRecord{User: User{
		ID: id, Object: "user", ImageURL: image, ProfileImageURL: image,
		EmailAddresses: []EmailAddress{}, PhoneNumbers: []PhoneNumber{}, Web3Wallets: []Web3Wallet{}, Passkeys: []struct{}{},
		ExternalAccounts: []ExternalAccount{}, SAMLAccounts: []struct{}{}, EnterpriseAccounts: []struct{}{},
		VerificationAttemptsRemaining: new(lockAttempts), DeleteSelfEnabled: true, CreateOrganizationEnabled: true,
		CreatedAt: now, UpdatedAt: now,
	}}
}

func (r *userRecord) addEmail(random random, address string, now int64, v *Verification) {
	a := EmailAddress{
		ID: random.id("idn"), Object: "email_address", EmailAddress: strings.ToLower(address), LinkedTo: []Link{},
		Verification: v, CreatedAt: now, UpdatedAt: now,
	}
	r.EmailAddresses = append(r.EmailAddresses, a)
	if r.PrimaryEmailAddressID == nil {
		r.PrimaryEmailAddressID = &a.ID
	}
}

func (r *userRecord) addPhone(random random, number string, now int64, v *Verification) {
	p := PhoneNumber{
		ID: random.id("idn"), Object: "phone_number", PhoneNumber: number, LinkedTo: []Link{},
		Verification: v, CreatedAt: now, UpdatedAt: now,
	}
	r.PhoneNumbers = append(r.PhoneNumbers, p)
	if r.PrimaryPhoneNumberID == nil {
		r.PrimaryPhoneNumberID = &p.ID
	}
}

// describe sets what creating and updating have in common. An empty text clears a field.
func (p *userParameters) describe(r *userRecord, now int64) {
	for _, x := range []struct {
		from *string
		to   **string
	}{
		{p.Username, &r.Username},
		{p.FirstName, &r.FirstName},
		{p.LastName, &r.LastName},
		{p.ExternalID, &r.ExternalID},
		{p.Locale, &r.Locale},
		{p.PrimaryEmailAddressID, &r.PrimaryEmailAddressID},
		{p.PrimaryPhoneNumberID, &r.PrimaryPhoneNumberID},
		{p.PrimaryWeb3WalletID, &r.PrimaryWeb3WalletID},
	} {
		if x.from != nil {
			*x.to = text(*x.from)
		}
	}
	for _, x := range []struct {
		from optional
		to   *Metadata
	}{{p.PublicMetadata, &r.PublicMetadata}, {p.PrivateMetadata, &r.PrivateMetadata}, {p.UnsafeMetadata, &r.UnsafeMetadata}} {
		if x.from.set {
			*x.to = x.from.value
		}
	}
	switch {
	case p.Password != nil:
		r.setPassword(hashPassword(*p.Password), now)
	case p.PasswordDigest != nil:
		r.setPassword(passwordHash{or(p.PasswordHasher), *p.PasswordDigest}, now)
	}
	if p.TOTPSecret != nil {
		r.secret.TOTPSecret = *p.TOTPSecret
		r.TOTPEnabled, r.TwoFactorEnabled, r.MFAEnabledAt = true, true, &now
	}
	if p.BackupCodes != nil {
		r.secret.BackupCodes, r.BackupCodeEnabled = p.BackupCodes, len(p.BackupCodes) > 0
	}
	if p.DeleteSelfEnabled != nil {
		r.DeleteSelfEnabled = *p.DeleteSelfEnabled
	}
	if p.CreateOrganizationEnabled != nil {
		r.CreateOrganizationEnabled = *p.CreateOrganizationEnabled
	}
	if p.CreateOrganizationsLimit != nil {
		r.CreateOrganizationsLimit = p.CreateOrganizationsLimit
	}
	if p.BypassClientTrust != nil {
		r.BypassClientTrust = *p.BypassClientTrust
	}
	r.depict()
}

// depict gives a user without a picture the placeholder of the present names.
func (r *userRecord) depict() {
	if !r.HasImage {
		r.ImageURL = placeholder(r.ID, or(r.FirstName), or(r.LastName))
		r.ProfileImageURL = r.ImageURL
	}
}

func (e *Emulator) updateUser(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p userParameters
	if err := p.read(c); err != nil {
		return nil, err
	}
	if err := c.noMetadata(metadataParameters{p.PublicMetadata, p.PrivateMetadata, p.UnsafeMetadata}); err != nil {
		return nil, err
	}
	if err := p.checkPrimaries(r); err != nil {
		return nil, err
	}
	if p.Banned != nil {
		return nil, unknownParameter("banned")
	}
	if p.Locked != nil {
		return nil, unknownParameter("locked")
	}
	legal, err := moment("legal_accepted_at", p.LegalAcceptedAt)
	if err != nil {
		return nil, err
	}
	created, err := moment("created_at", p.CreatedAt)
	if err != nil {
		return nil, err
	}
	before := r.primaryEmail()
	updated, err := e.rewrite(r, func(next *userRecord, now int64) {
		p.describe(next, now)
		if legal != nil {
			next.LegalAcceptedAt = legal
		}
		if created != nil {
			next.CreatedAt = *created
		}
	})
	if err == nil {
		e.tellFormer(r, before, p.NotifyPrimaryEmailChanged)
	}
	if err == nil && or(p.SignOutOfOtherSessions) {
		e.revokeAll(r.ID)
	}
	return updated, err
}

// rewrite changes a user and sends the event, unless another user has one of the addresses.
func (e *Emulator) rewrite(r *userRecord, change func(next *userRecord, now int64)) (any, error) {
	now := e.after(r.UpdatedAt)
	next := new(*r)
	next.EmailAddresses, next.PhoneNumbers = slices.Clone(r.EmailAddresses), slices.Clone(r.PhoneNumbers)
	change(next, now)
	next.UpdatedAt = now
	if err := checkAllMetadata(next.PublicMetadata, next.PrivateMetadata, next.UnsafeMetadata); err != nil {
		return nil, err
	}
	if err := e.unique(next, r.ID); err != nil {
		return nil, err
	}
	for _, key := range r.claimed() {
		delete(e.users.byAddress, key)
	}
	moved := r.CreatedAt != next.CreatedAt
	*r = *next
	if moved {
		slices.SortStableFunc(e.users.created, func(a, b *userRecord) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) })
	}
	for _, key := range r.claimed() {
		e.users.byAddress[key] = r
	}
	e.users.changed(r)
	e.emit("user.updated", now, e.json(r))
	return e.json(r), nil
}

func (e *Emulator) getUser(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	return e.json(r), nil
}

// or returns the value of a pointer, or the zero value for nil.
func or[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
