package emulator

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/nearest"
	"github.com/clerksync/clerksync/internal/yamlfile"
)

// FixturesSchema is the JSON Schema of fixtures files, for editors.
//
//go:embed fixtures.schema.json
var FixturesSchema []byte

// Fixtures are the objects with which an instance begins, and to which a reset returns. They come
// from a file.
type Fixtures struct {
	file   fixtureFile
	ids    fixtureIDs
	hashes []passwordHash // of the users
}

// fixtureIDs has the ids of what others refer to.
type fixtureIDs struct {
	users, organizations []string
	named                map[string]string // id of a user by each of the names that the file has for it
	machines             []string
	machineNames         map[string]string // id of a machine by its name and its id
	subjects             map[string]string // id of an organization or a machine by each of its names
}

// RateLimit returns how many requests the file allows in ten seconds, and whether it says that.
func (f *Fixtures) RateLimit() (limit int, given bool) {
	return RateLimit(f.file.RateLimit)
}

// RateLimit returns how many requests the Backend API accepts in ten seconds, by the name of a rate
// limit: production, development or off, which is 0.
func RateLimit(name string) (limit int, known bool) {
	limit, known = map[string]int{"production": 1000, "development": 100, "off": 0}[name]
	return limit, known
}

// ReadFixtures reads a fixtures file, YAML or JSON. An error that is about its content is of type
// [yamlfile.Problems] and has everything that is wrong, with lines and remedies.
func ReadFixtures(path string) (*Fixtures, error) {
	body, err := os.ReadFile(path) //nolint:gosec // the file of --fixtures
	if err != nil {
		return nil, fmt.Errorf("read the fixtures: %w", err)
	}
	return ParseFixtures(path, body)
}

// ParseFixtures reads the content of a fixtures file. The name is used in errors.
func ParseFixtures(name string, body []byte) (*Fixtures, error) {
	f := &Fixtures{}
	c := fixtureCheck{f, yamlfile.Read(name, body, &f.file), map[string]string{}}
	c.file()
	c.rehearse()
	if err := c.document.Err(); err != nil {
		return nil, err
	}
	for _, u := range f.file.Users {
		hash := passwordHash{}
		if u.Password != "" {
			hash = hashFixture(u.Password)
		}
		f.hashes = append(f.hashes, hash)
	}
	return f, nil
}

// hashFixture hashes a password of a file. One round is enough, because the file has the password
// itself, and there may be thousands.
func hashFixture(password string) passwordHash {
	salt := fixtureRandom("password", password).text(16)
	return passwordHash{ownHasher, djangoHash(password, salt, 1)}
}

// fixtureRandom makes what depends on nothing but the content of a file, such as the ids that the
// file leaves out: they are the same in each run, also without a seed.
func fixtureRandom(kind, key string) random {
	return newRandomOf(sha256.Sum256([]byte(kind + "\x00" + key)))
}

// fixtureCheck looks for what is wrong in a file.
type fixtureCheck struct {
	*Fixtures
	document *yamlfile.Document
	seen     map[string]string // path by what must be unique
}

func (c *fixtureCheck) file() {
	f := &c.Fixtures.file
	if err := f.Settings.check(); err != nil {
		c.document.Wrong("settings", "cannot be: "+err.Error(), "")
	}
	if err := f.Faults.check(); err != nil {
		c.document.Wrong("faults", "cannot be: "+err.Error(), "")
	}
	if _, known := c.RateLimit(); f.RateLimit != "" && !known {
		c.document.Wrong("rate_limit", fmt.Sprintf("is %q", f.RateLimit), "write production, development or off")
	}
	c.permissions()
	c.ids.named = map[string]string{}
	for i, u := range f.Users {
		c.user(fmt.Sprintf("users[%d]", i), u)
	}
	for i, o := range f.Organizations {
		c.organization(fmt.Sprintf("organizations[%d]", i), o)
	}
	c.machines()
}

// unique reports a value that was seen before.
func (c *fixtureCheck) unique(path, kind, value, remedy string) {
	if first, twice := c.twice(path, kind, value); twice {
		c.document.Wrong(path, fmt.Sprintf("%q is that of %s, too", value, first), remedy)
	}
}

// twice returns where a value was seen before.
func (c *fixtureCheck) twice(path, kind, value string) (first string, twice bool) {
	if value == "" {
		return "", false
	}
	key := kind + "\x00" + strings.ToLower(value)
	if first, twice = c.seen[key]; !twice {
		c.seen[key] = path
	}
	return first, twice
}

var idPattern = regexp.MustCompile(`^[a-z]+_[A-Za-z0-9_]{1,64}$`)

// id returns the given id, or one that is made from a key.
func (c *fixtureCheck) id(path, prefix, given, key string) string {
	if given == "" {
		made := fixtureRandom(prefix, key).id(prefix)
		if first, twice := c.twice(path, "id", made); twice && key != "" && !c.document.Reported(path) {
			c.document.Wrong(path, "cannot be told from "+first, "give both an id")
		}
		return made
	}
	if !strings.HasPrefix(given, prefix+"_") || !idPattern.MatchString(given) {
		c.document.Wrong(path+".id", fmt.Sprintf("%q is not an id", given),
			"write "+prefix+"_ and up to 64 letters, digits and underscores, or leave it out")
	}
	c.unique(path+".id", "id", given, "give each an id of its own")
	return given
}

func (c *fixtureCheck) user(path string, u fixtureUser) {
	var names []string
	for i, a := range u.EmailAddresses {
		c.unique(fmt.Sprintf("%s.email_addresses[%d]", path, i), "email", a.EmailAddress, "each user needs addresses of their own")
		names = append(names, strings.ToLower(a.EmailAddress))
	}
	for i, p := range u.PhoneNumbers {
		c.unique(fmt.Sprintf("%s.phone_numbers[%d]", path, i), "phone", p.PhoneNumber, "each user needs numbers of their own")
		names = append(names, p.PhoneNumber)
	}
	c.unique(path+".username", "username", u.Username, "each user needs a name of their own")
	c.unique(path+".external_id", "external id", u.ExternalID, "each user needs an external id of their own")
	if len(names) == 0 && u.Username == "" && !c.document.Reported(path) {
		c.document.Wrong(path, "has no e-mail address, no phone number and no user name", "give it email_addresses: [ada@example.com]")
	}
	c.moment(path, u.CreatedAt)
	c.values(path, u)
	names = append(names, u.Username, u.ExternalID)
	id := c.id(path, "user", u.ID, names[0])
	c.ids.users = append(c.ids.users, id)
	for _, name := range append(names, id) {
		if _, taken := c.ids.named[name]; name != "" && !taken {
			c.ids.named[name] = id
		}
	}
}

// values reports what Clerk does not take.
func (c *fixtureCheck) values(path string, u fixtureUser) {
	check := func(path, value string, check func(parameter, value string) error) {
		if value != "" {
			c.refusedAt(path, check("", value))
		}
	}
	for i, a := range u.EmailAddresses {
		check(fmt.Sprintf("%s.email_addresses[%d]", path, i), a.EmailAddress, checkEmail)
	}
	for i, p := range u.PhoneNumbers {
		check(fmt.Sprintf("%s.phone_numbers[%d]", path, i), p.PhoneNumber, checkPhone)
	}
	check(path+".username", u.Username, checkUsername)
	check(path+".password", u.Password, checkPassword)
	check(path+".first_name", u.FirstName, checkName)
	check(path+".last_name", u.LastName, checkName)
	check(path+".locale", u.Locale, checkLocale)
	c.refusedAt(path, (&userParameters{TOTPSecret: given(u.TOTPSecret), BackupCodes: u.BackupCodes}).checkSecrets())
	c.refusedAt(path, checkAllMetadata(u.PublicMetadata, u.PrivateMetadata, u.UnsafeMetadata))
}

func (c *fixtureCheck) moment(path, text string) {
	if _, err := time.Parse(time.RFC3339, text); text != "" && err != nil {
		c.document.Wrong(path+".created_at", fmt.Sprintf("%q is not a time", text), "write it as 2026-01-31T12:00:00Z")
	}
}

func (c *fixtureCheck) organization(path string, o fixtureOrganization) {
	if o.Name == "" && !c.document.Reported(path) {
		c.document.Wrong(path, "has no name", "give it one")
	}
	c.unique(path+".slug", "slug", o.Slug, "each organization needs a slug of its own")
	c.moment(path, o.CreatedAt)
	c.ids.organizations = append(c.ids.organizations, c.id(path, "org", o.ID, cmp.Or(o.Slug, o.Name)))
	c.known(path+".created_by", o.CreatedBy)
	for i, m := range o.Members {
		at := fmt.Sprintf("%s.members[%d]", path, i)
		if m.User == "" && !c.document.Reported(at) {
			c.document.Wrong(at, "names no user", "write user: and one of the names that the user has in this file")
		}
		c.known(at, m.User)
		if first, twice := c.twice(at, "member of "+path, c.ids.user(m.User)); twice {
			c.document.Wrong(at, "is the same user as "+first, "name each member once")
		}
		c.role(at, m.Role)
	}
	for i, x := range o.Invitations {
		at := fmt.Sprintf("%s.invitations[%d]", path, i)
		c.known(at+".inviter", x.Inviter)
		c.role(at, x.Role)
	}
}

// user returns the id of a user by any name, or an empty text.
func (ids *fixtureIDs) user(name string) string {
	if id, known := ids.named[name]; known {
		return id
	}
	return ids.named[strings.ToLower(name)]
}

// known reports a name that no user has.
func (c *fixtureCheck) known(path, name string) {
	if name == "" || c.ids.user(name) != "" {
		return
	}
	c.document.Wrong(path, fmt.Sprintf("names %q, but no user is called that", name), meant(name, slices.Sorted(maps.Keys(c.ids.named)),
		"name a user of this file by id, e-mail address, phone number, user name or external id"))
}

// meant is a remedy that names what was probably meant, or another remedy.
func meant(word string, names []string, otherwise string) string {
	if len(names) > 0 {
		if near := nearest.Of(word, names); nearest.Distance(word, near) <= max(2, len(near)/4) {
			return "did you mean " + near + "?"
		}
	}
	return otherwise
}

// permissions reports permissions of roles that do not exist.
func (c *fixtureCheck) permissions() {
	var keys []string
	for _, p := range c.Fixtures.file.Permissions {
		keys = append(keys, orgKey(p.Key))
	}
	for _, p := range systemPermissions() {
		keys = append(keys, "org:sys_"+p[0])
	}
	for i, r := range c.Fixtures.file.Roles {
		for j, key := range r.Permissions {
			if !slices.Contains(keys, key) {
				c.document.Wrong(fmt.Sprintf("roles[%d].permissions[%d]", i, j), fmt.Sprintf("%q is not known", key),
					meant(key, keys, "add it to permissions, or name one of the system such as org:sys_memberships:read"))
			}
		}
	}
}

// role reports a role that the instance does not have.
func (c *fixtureCheck) role(path, key string) {
	keys := []string{"org:admin", "org:member"}
	for _, r := range c.Fixtures.file.Roles {
		if !slices.Contains(keys, orgKey(r.Key)) && r.Key != "" {
			keys = append(keys, orgKey(r.Key))
		}
	}
	if key != "" && !slices.Contains(keys, key) {
		c.document.Wrong(path+".role", fmt.Sprintf("%q is not known", key), "there are "+strings.Join(keys, ", ")+"; add others to roles")
	}
}
