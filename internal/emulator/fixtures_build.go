package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// buildFixtures makes the objects of a file, by the functions that the Backend API uses. No events
// are sent. What is refused is reported with its path in the file.
func (e *Emulator) buildFixtures(f *Fixtures, refused func(path string, err error)) {
	kept := e.random
	b := fixtureBuilder{e, f, refused}
	e.building = max(1, e.origin.at.UnixMilli()-int64(f.size()))
	for i, p := range f.file.Permissions {
		b.make("permissions", i, "perm", p.ID, p.Key, func() error {
			_, err := e.addPermission(accessParameters{Key: &p.Key, Name: new(cmp.Or(p.Name, p.Key)), Description: &p.Description})
			return err
		})
	}
	for i, r := range f.file.Roles {
		b.make("roles", i, "role", r.ID, r.Key, func() error { return b.role(r) })
	}
	for i, u := range f.file.Users {
		b.make("users", i, "user", f.ids.users[i], f.ids.users[i], func() error { return b.user(i, u) })
	}
	for i, o := range f.file.Organizations {
		b.make("organizations", i, "org", f.ids.organizations[i], f.ids.organizations[i], func() error { return b.organization(i, o) })
	}
	for i, x := range f.file.Invitations {
		b.make("invitations", i, "inv", "", x.EmailAddress, func() error {
			_, err := e.inviteToInstance(invitationParameters{
				EmailAddress: x.EmailAddress, Public: metadataOf(x.PublicMetadata), ExpiresInDays: x.ExpiresInDays, IgnoreExists: new(false),
			})
			return err
		})
	}
	for i, t := range f.file.JWTTemplates {
		b.make("jwt_templates", i, "jtmp", "", t.Name, func() error {
			p := templateParameters{Name: &t.Name, Claims: t.Claims, Lifetime: t.Lifetime, AllowedClockSkew: t.AllowedClockSkew}
			if t.SigningKey != "" {
				p.CustomSigningKey, p.SigningAlgorithm, p.SigningKey = new(true), new("HS256"), &t.SigningKey
			}
			_, err := e.addTemplate(p)
			return err
		})
	}
	b.machines()
	e.random, e.building = kept, 0
}

// size returns about how many objects the file has, each of which has a time of its own.
func (f *Fixtures) size() int {
	n := len(f.file.Permissions) + len(f.file.Roles) + len(f.file.Users) + len(f.file.Invitations) + len(f.file.JWTTemplates)
	n += 2*len(f.file.Machines) + len(f.file.APIKeys) + len(f.file.OAuthApplications)
	for _, o := range f.file.Organizations {
		n += 1 + len(o.Members) + len(o.Invitations) + len(o.Domains)
	}
	return n
}

type fixtureBuilder struct {
	*Emulator
	fixtures *Fixtures
	refused  func(path string, err error)
}

// make makes one object with an id and a time of its own. Without an id, one is made from the key.
func (b fixtureBuilder) make(list string, i int, prefix, id, key string, run func() error) {
	b.random = fixtureRandom(prefix, key)
	b.random.given = id
	b.building++
	if err := run(); err != nil {
		b.refused(fmt.Sprintf("%s[%d]", list, i), err)
	}
}

func metadataOf(m map[string]any) optional { return optional{m != nil, m} }

// given returns nil for an empty text.
func given(s string) *string { return text(s) }

// role makes a role, or changes one that exists from the start.
func (b fixtureBuilder) role(r fixtureRole) error {
	p := accessParameters{
		Key: &r.Key, Name: given(r.Name), Description: given(r.Description), Permissions: r.Permissions, IsCreatorEligible: r.IsCreatorEligible,
	}
	if existing := b.access.role(orgKey(r.Key)); existing != nil && existing.seeded {
		if err := b.describeRole(existing, p); err != nil {
			return err
		}
		existing.UpdatedAt = b.after(existing.UpdatedAt)
		return nil
	}
	if p.Name == nil {
		p.Name = new(strings.TrimPrefix(r.Key, "org:"))
	}
	_, err := b.addRole(p)
	return err
}

func (b fixtureBuilder) user(i int, u fixtureUser) error {
	p := userParameters{
		Username: given(u.Username), FirstName: given(u.FirstName), LastName: given(u.LastName), ExternalID: given(u.ExternalID), Locale: given(u.Locale),
		PublicMetadata: metadataOf(u.PublicMetadata), PrivateMetadata: metadataOf(u.PrivateMetadata), UnsafeMetadata: metadataOf(u.UnsafeMetadata),
		TOTPSecret: given(u.TOTPSecret), BackupCodes: slices.Clone(u.BackupCodes), Banned: &u.Banned, Locked: &u.Locked, CreatedAt: given(u.CreatedAt),
		DeleteSelfEnabled: u.DeleteSelfEnabled, CreateOrganizationEnabled: u.CreateOrganizationEnabled, CreateOrganizationsLimit: u.CreateOrganizationsLimit,
	}
	if u.Role != "" {
		public := Metadata{"role": u.Role}
		maps.Copy(public, u.PublicMetadata)
		p.PublicMetadata = optional{true, public}
	}
	if len(b.fixtures.hashes) > 0 && u.Password != "" {
		hash := b.fixtures.hashes[i]
		p.PasswordDigest, p.PasswordHasher = &hash.Digest, &hash.Hasher
	}
	for _, a := range u.EmailAddresses {
		p.EmailAddress = append(p.EmailAddress, a.EmailAddress)
	}
	for _, n := range u.PhoneNumbers {
		p.PhoneNumber = append(p.PhoneNumber, n.PhoneNumber)
	}
	r, err := b.addUser(&p)
	if err != nil {
		return err
	}
	for j, a := range u.EmailAddresses {
		if a.Verified != nil && !*a.Verified {
			r.EmailAddresses[j].Verification = adminVerification(false)
		}
	}
	for j, n := range u.PhoneNumbers {
		if n.Verified != nil && !*n.Verified {
			r.PhoneNumbers[j].Verification = adminVerification(false)
		}
	}
	return nil
}

// organization makes an organization with its members, invitations and domains. The creator is a
// member with the role that the list of members says, or an admin.
func (b fixtureBuilder) organization(i int, x fixtureOrganization) error {
	o, err := b.addOrganization(&organizationParameters{
		Name: &x.Name, Slug: given(x.Slug), MaxAllowedMemberships: x.MaxAllowedMemberships, AdminDeleteEnabled: x.AdminDeleteEnabled,
		PublicMetadata: metadataOf(x.PublicMetadata), PrivateMetadata: metadataOf(x.PrivateMetadata), CreatedAt: given(x.CreatedAt),
	})
	if err != nil {
		return err
	}
	list := fmt.Sprintf("organizations[%d].", i)
	o.CreatedBy = b.fixtures.ids.user(x.CreatedBy)
	members := x.Members
	for _, m := range members {
		if b.fixtures.ids.user(m.User) == o.CreatedBy {
			x.CreatedBy = ""
		}
	}
	if x.CreatedBy != "" {
		members = append(slices.Clip(members), fixtureMember{User: x.CreatedBy, Role: "org:admin"})
	}
	for j, m := range members {
		user := b.fixtures.ids.user(m.User)
		b.make(list+"members", j, "orgmem", "", o.ID+user, func() error {
			r, err := b.Emulator.user(user)
			if err != nil {
				return err
			}
			_, err = b.join(o, r, cmp.Or(m.Role, "org:member"), m.PublicMetadata, m.PrivateMetadata)
			return err
		})
	}
	for j, v := range x.Invitations {
		b.make(list+"invitations", j, "orginv", "", o.ID+strings.ToLower(v.EmailAddress), func() error {
			_, err := b.invite(o, invitationParameters{
				EmailAddress: v.EmailAddress, Role: cmp.Or(v.Role, "org:member"), InviterUserID: given(b.fixtures.ids.user(v.Inviter)),
				Public: metadataOf(v.PublicMetadata), Private: metadataOf(v.PrivateMetadata), ExpiresInDays: v.ExpiresInDays,
			})
			return err
		})
	}
	for j, d := range x.Domains {
		b.make(list+"domains", j, "orgdmn", "", strings.ToLower(d.Name), func() error {
			_, err := b.addDomain(o, domainParameters{Name: &d.Name, EnrollmentMode: given(d.EnrollmentMode), Verified: d.Verified})
			return err
		})
	}
	return nil
}

// rehearse makes the objects of a file in an instance that nothing else sees, to find what would be
// refused.
func (c *fixtureCheck) rehearse() {
	e := &Emulator{clock: newClock(), objects: noObjects()}
	e.invent(Options{Seed: 1})
	e.origin.at = time.Now()
	e.seedAccess()
	e.buildFixtures(c.Fixtures, c.refused)
}

// refused reports what the instance refuses, unless the same object has a problem already, from
// which this may follow.
func (c *fixtureCheck) refused(path string, err error) {
	if !c.document.Reported(path) {
		c.refusedAt(path, err)
	}
}

func (c *fixtureCheck) refusedAt(path string, err error) {
	if err == nil {
		return
	}
	var failure *APIError
	if !errors.As(err, &failure) || len(failure.Errors) == 0 {
		c.document.Wrong(path, "is refused: "+err.Error(), "")
		return
	}
	detail := failure.Errors[0]
	if name, ok := detail.Meta["param_name"].(string); ok && name != "" {
		if strings.HasPrefix(path, "users[") { // where the file has lists
			name = cmp.Or(map[string]string{"email_address": "email_addresses", "phone_number": "phone_numbers"}[name], name)
		}
		path += "." + name
	}
	c.document.Wrong(path, "is refused, as by Clerk: "+strings.TrimSpace(detail.LongMessage), "")
}
